using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Gateway.Api.OpenAi.Requests;

/// <summary>Reads a request body in one pass. Pure: bytes in, request or refusal out.</summary>
internal static class RequestReader
{
    private const int MostOfCause = 160;

    private static readonly JsonReaderOptions Strict = new() { MaxDepth = RequestLimits.JsonDepth };

    /// <param name="body">Must not change as long as the request lives: the request's verbatim parts alias it.</param>
    /// <exception cref="RequestRefusedException">Always with a 4xx status, whatever the bytes are.</exception>
    public static OpenAiRequest Read(ReadOnlyMemory<byte> body, RequestFieldTable table)
    {
        if (body.Span.StartsWith(Encoding.UTF8.Preamble))
            body = body[Encoding.UTF8.Preamble.Length..];
        if (body.IsEmpty)
            throw RequestRefusedException.Json(null, "the body is empty; allowed: a JSON object");
        if (!Utf8.IsValid(body.Span))
            throw RequestRefusedException.Json(null, "the body is not UTF-8; allowed: a JSON object in UTF-8");
        try
        {
            var reader = new Utf8JsonReader(body.Span, Strict);
            reader.Read();
            var request = ReadObject(ref reader, body, table);
            reader.Read(); // throws where something follows the object
            table.Settle(request);
            return request;
        }
        catch (JsonException e)
        {
            throw RequestRefusedException.Json(null, $"the body is not valid JSON at line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1}: {Cause(e)}", e);
        }
    }

    private static OpenAiRequest ReadObject(ref Utf8JsonReader reader, ReadOnlyMemory<byte> body, RequestFieldTable table)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
            throw RequestRefusedException.Json(null, $"the body is {JsonField.Describe(ref reader)}; allowed: a JSON object");
        var request = new OpenAiRequest();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        Span<char> buffer = stackalloc char[RequestLimits.MemberNameChars];
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            var name = buffer[..CopyName(ref reader, buffer)];
            var member = table.Find(name);
            var text = member?.Name ?? new string(name);
            if (!seen.Add(text))
                throw RequestRefusedException.Twice(text);
            reader.Read();
            if (member is null)
                Keep(ref reader, text, body, request);
            else if (reader.TokenType != JsonTokenType.Null) // null says the same as leaving the member out
                member.Read(ref reader, text, body, request);
        }

        return request;
    }

    private static void Keep(ref Utf8JsonReader reader, string name, ReadOnlyMemory<byte> body, OpenAiRequest request)
    {
        if (request.Generate.Extra.Count == RequestLimits.ExtraMembers)
            throw RequestRefusedException.Invalid(name, $"is one unknown member too many; allowed: up to {RequestLimits.ExtraMembers}");
        request.Generate.Extra.Add(new RawMember { Name = name, Json = JsonField.Verbatim(ref reader, body) });
    }

    private static int CopyName(ref Utf8JsonReader reader, scoped Span<char> buffer)
    {
        if (reader.ValueSpan.Length > buffer.Length)
            throw RequestRefusedException.Json(null, $"the member name {JsonField.Describe(ref reader)} is too long; allowed: up to {buffer.Length} bytes");
        try
        {
            return reader.CopyString(buffer);
        }
        catch (InvalidOperationException e)
        {
            throw RequestRefusedException.Json(null, $"the member name {JsonField.Describe(ref reader)} holds half of a surrogate pair; allowed: whole Unicode characters", e);
        }
    }

    /// <summary>The reader's own words, on one short line: it may quote the body, and it repeats the position at the end.</summary>
    private static string Cause(JsonException e)
    {
        var position = e.Message.IndexOf(" LineNumber:", StringComparison.Ordinal);
        var cause = position < 0 ? e.Message : e.Message[..position];
        if (cause.Length > MostOfCause)
            cause = cause[..MostOfCause] + "…";
        return string.Create(cause.Length, cause, static (target, source) =>
        {
            for (var i = 0; i < target.Length; i++)
                target[i] = char.IsControl(source[i]) ? ' ' : source[i];
        });
    }
}
