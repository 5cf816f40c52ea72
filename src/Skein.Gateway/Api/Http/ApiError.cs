using System.Buffers;
using System.Globalization;
using Microsoft.AspNetCore.Http;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Api.Http;

/// <summary>An error in OpenAI's shape: <c>{"error":{"message","type","param","code"}}</c>, as a response or inside a stream.</summary>
internal sealed record ApiError(int Status, string Type, string Code, string Message, string? Param = null, TimeSpan? RetryAfter = null)
{
    public static ApiError From(RequestRefusedException refused) =>
        new(refused.Status, SessionErrors.InvalidRequestType, refused.Code, refused.Message, refused.Field);

    public static ApiError From(SessionException error)
    {
        var face = SessionErrors.Face(error.Error);
        return new(face.Http, face.Type, face.Code, error.Message, RetryAfter: SessionErrors.RetryAfter(error));
    }

    /// <summary>Says nothing of the cause: that is for the log.</summary>
    public static ApiError Internal(string requestId) => new(SessionErrors.Internal.Http, SessionErrors.Internal.Type,
        SessionErrors.Internal.Code, $"the gateway failed; its log tells more about request {requestId}");

    /// <summary>Answers with the real status. Nothing may have been sent before.</summary>
    public async Task SendAsync(HttpContext http)
    {
        var bytes = new ArrayBufferWriter<byte>(512);
        Write(bytes);
        var response = http.Response;
        response.StatusCode = Status;
        response.ContentType = "application/json";
        response.ContentLength = bytes.WrittenCount;
        if (RetryAfter is { } wait)
        {
            var milliseconds = Math.Max(1, (long)Math.Ceiling(wait.TotalMilliseconds));
            response.Headers["retry-after-ms"] = milliseconds.ToString(CultureInfo.InvariantCulture);
            response.Headers.RetryAfter = ((milliseconds + 999) / 1000).ToString(CultureInfo.InvariantCulture);
        }

        await response.BodyWriter.WriteAsync(bytes.WrittenMemory, http.RequestAborted);
    }

    public void Write(IBufferWriter<byte> output)
    {
        var json = new JsonSink(output);
        json.Raw("{\"error\":{\"message\":"u8);
        json.Text(Message);
        json.Raw(",\"type\":"u8);
        json.Text(Type);
        json.Raw(",\"param\":"u8);
        json.Text(Param);
        json.Raw(",\"code\":"u8);
        json.Text(Code);
        json.Raw("}}"u8);
        json.Complete();
    }
}
