using System.Buffers;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.OpenAi;

/// <summary>The body of <c>GET /v1/models</c>.</summary>
internal static class ModelList
{
    public static ArrayBufferWriter<byte> Write(IReadOnlyList<ServedModel> models)
    {
        var body = new ArrayBufferWriter<byte>(1024);
        var json = new JsonSink(body);
        json.Raw("{\"object\":\"list\",\"data\":["u8);
        for (var i = 0; i < models.Count; i++)
        {
            json.Raw(i == 0 ? "{\"id\":"u8 : ",{\"id\":"u8);
            json.Text(models[i].Description.Name);
            json.Raw(",\"object\":\"model\",\"created\":"u8);
            json.Number(models[i].FirstSeen.ToUnixTimeSeconds());
            json.Raw(",\"owned_by\":\"skein\"}"u8);
        }

        json.Raw("]}"u8);
        json.Complete();
        return body;
    }
}
