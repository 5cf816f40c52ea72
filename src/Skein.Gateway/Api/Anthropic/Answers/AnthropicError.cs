using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.Anthropic.Answers;

/// <summary>Errors as Anthropic's API has them: <c>{"type":"error","error":{"type","message"}}</c>. The type follows from the status.</summary>
internal static class AnthropicError
{
    /// <summary>What clients look for to shorten their conversation.</summary>
    private const string Overflow = "prompt is too long: ";

    public static void Write(ApiError error, IBufferWriter<byte> output)
    {
        var json = new JsonSink(output);
        json.Raw("{\"type\":\"error\",\"error\":{\"type\":"u8);
        json.Raw(TypeOf(error.Status));
        json.Raw(",\"message\":"u8);
        json.Text(error.Code == Fault.ContextLengthExceeded.ToClientError().Code ? Overflow + error.Message : error.Message);
        json.Raw("}}"u8);
        json.Complete();
    }

    private static ReadOnlySpan<byte> TypeOf(int status) => status switch
    {
        401 => "\"authentication_error\""u8,
        403 => "\"permission_error\""u8,
        404 => "\"not_found_error\""u8,
        413 => "\"request_too_large\""u8,
        429 => "\"rate_limit_error\""u8,
        503 or 529 => "\"overloaded_error\""u8,
        504 => "\"timeout_error\""u8,
        < 500 => "\"invalid_request_error\""u8,
        _ => "\"api_error\""u8,
    };
}
