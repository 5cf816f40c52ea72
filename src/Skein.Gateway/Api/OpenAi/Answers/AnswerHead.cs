using System.Buffers;
using Skein.Gateway.Api.Http;
using Skein.Protocol.V1;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary>What every object of one answer begins with, written once: id, object, created, model, fingerprint, and the opened choices.</summary>
internal static class AnswerHead
{
    /// <param name="objectName">OpenAI's <c>object</c>.</param>
    /// <param name="sessionId">With the format's prefix it is the answer's id.</param>
    /// <param name="start">Of the first choice that began.</param>
    public static byte[] Write(AnswerPlan plan, string objectName, string sessionId, Start start)
    {
        var bytes = new ArrayBufferWriter<byte>(320);
        var json = new JsonSink(bytes);
        json.Raw("{\"id\":"u8);
        json.Text(plan.Format.IdPrefix + sessionId);
        json.Raw(",\"object\":"u8);
        json.Text(objectName);
        json.Raw(",\"created\":"u8);
        json.Number(plan.Created);
        json.Raw(",\"model\":"u8);
        json.Text(start.Model.Length > 0 ? start.Model : plan.Model);
        json.Raw(",\"system_fingerprint\":"u8);
        json.Text(start.Fingerprint.Length > 0 ? start.Fingerprint : null);
        json.Raw(",\"choices\":["u8);
        json.Complete();
        return bytes.WrittenSpan.ToArray();
    }
}
