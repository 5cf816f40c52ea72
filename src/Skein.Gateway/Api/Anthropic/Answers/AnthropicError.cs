using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.Anthropic.Answers;

/// <summary>Errors as Anthropic's API has them: <c>{"type":"error","error":{"type","message"}}</c>. The type follows from the status.</summary>
internal static class AnthropicError
{
    public static void Write(ApiError error, IBufferWriter<byte> output)
    {
        var json = new JsonSink(output);
        json.Raw("{\"type\":\"error\",\"error\":{\"type\":"u8);
        json.Raw(TypeOf(error.Status));
        json.Raw(",\"message\":"u8);
        json.Text(error.Message);
        json.Raw("}}"u8);
        json.Complete();
    }

    /// <summary>
    /// An overflow of the context in Anthropic's words. Clients read them: they shorten their conversation if the prompt is too long, and ask again for fewer
    /// tokens if max_tokens is too large.
    /// </summary>
    public static string OfOverflow(FaultException overflow, uint? maxTokens)
    {
        var message = overflow.Engine?.Message ?? overflow.Message;
        return ContextOverflow.Read(message, maxTokens) switch
        {
            { IsOfPrompt: true } told => $"prompt is too long: {told.Prompt} tokens > {told.Context} maximum",
            { } told => $"input length and `max_tokens` exceed context limit: {told.Prompt} + {maxTokens} > {told.Context}, decrease input length or "
                + "`max_tokens` and try again",
            null => (overflow.Engine?.Param ?? overflow.Param) == "max_tokens" ? message : $"prompt is too long: {message}",
        };
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
