using System.Text.Json;
using System.Text.Unicode;
using System.Text;

namespace Skein.Gateway.Api.Http;

/// <summary>What is checked of every JSON body, whatever its members are.</summary>
internal static class JsonBody
{
    public static readonly JsonReaderOptions Strict = new() { MaxDepth = RequestLimits.JsonDepth };

    private const int MaxCauseChars = 160;

    /// <summary>Checks the encoding.</summary>
    /// <returns>The body without a byte order mark.</returns>
    /// <exception cref="RequestRefusedException">The body is empty or not UTF-8.</exception>
    public static ReadOnlyMemory<byte> Check(ReadOnlyMemory<byte> body)
    {
        if (body.Span.StartsWith(Encoding.UTF8.Preamble))
            body = body[Encoding.UTF8.Preamble.Length..];
        if (body.IsEmpty)
            throw RequestRefusedException.Json(null, "the body is empty; allowed: a JSON object");
        if (!Utf8.IsValid(body.Span))
            throw RequestRefusedException.Json(null, "the body is not UTF-8; allowed: a JSON object in UTF-8");
        return body;
    }

    /// <summary>Copies the name of the member that the reader is at, without escapes.</summary>
    /// <returns>Characters copied.</returns>
    /// <exception cref="RequestRefusedException">The name is too long or not Unicode.</exception>
    public static int CopyName(ref Utf8JsonReader reader, scoped Span<char> buffer)
    {
        if (reader.ValueSpan.Length > buffer.Length)
            throw RequestRefusedException.Json(null, $"the member name {JsonExcerpt.Of(ref reader)} is too long; allowed: up to {buffer.Length} bytes");
        try
        {
            return reader.CopyString(buffer);
        }
        catch (InvalidOperationException e)
        {
            throw RequestRefusedException.Json(
                null, $"the member name {JsonExcerpt.Of(ref reader)} holds half of a surrogate pair; allowed: whole Unicode characters", e);
        }
    }

    /// <summary>The refusal of a body that is not JSON. The reader's message may quote the body: it is cut to one short line.</summary>
    public static RequestRefusedException Broken(JsonException e)
    {
        var position = e.Message.IndexOf(" LineNumber:", StringComparison.Ordinal); // repeats the position at the end
        var cause = position < 0 ? e.Message : e.Message[..position];
        if (cause.Length > MaxCauseChars)
            cause = cause[..MaxCauseChars] + "…";
        var line = string.Concat(cause.Select(c => char.IsControl(c) ? ' ' : c));
        return RequestRefusedException.Json(null, $"the body is not valid JSON at line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1}: {line}", e);
    }
}
