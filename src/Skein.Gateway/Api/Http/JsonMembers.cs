using System.Collections.Frozen;
using System.Text.Unicode;
using Google.Protobuf;
using Google.Protobuf.Collections;

namespace Skein.Gateway.Api.Http;

/// <summary>Reads the value of one member into the request. The reader is at the first token of the value, and is left at its last.</summary>
/// <param name="body">The whole body, for values that are kept verbatim.</param>
internal delegate void JsonMemberReader<in TRequest>(ref Utf8JsonReader reader, string name, ReadOnlyMemory<byte> body, TRequest request);

/// <summary>A member of a request body that Skein reads.</summary>
internal sealed record JsonMember<TRequest>(string Name, JsonMemberReader<TRequest> Read)
{
    public static JsonMember<TRequest> Flag(string name, Action<TRequest, bool> set) => new(name,
        (ref Utf8JsonReader reader, string field, ReadOnlyMemory<byte> _, TRequest request) => set(request, JsonField.Flag(ref reader, field)));

    public static JsonMember<TRequest> Number(string name, NumberRange allowed, Action<TRequest, float> set) => new(name,
        (ref Utf8JsonReader reader, string field, ReadOnlyMemory<byte> _, TRequest request) => set(request, JsonField.Number(ref reader, field, allowed)));

    public static JsonMember<TRequest> Whole(string name, NumberRange allowed, Action<TRequest, uint> set) => new(name,
        (ref Utf8JsonReader reader, string field, ReadOnlyMemory<byte> _, TRequest request) => set(request, JsonField.Whole(ref reader, field, allowed)));
}

/// <summary>The members that one endpoint reads. Every other member is kept verbatim for the engine. Null means absent.</summary>
/// <param name="others">Where the request keeps the other members.</param>
/// <param name="settle">Runs after the last member: checks that members are present and agree.</param>
internal sealed class JsonMembers<TRequest>(
    IEnumerable<JsonMember<TRequest>> members, Func<TRequest, RepeatedField<RawMember>> others, Action<TRequest> settle)
    where TRequest : class, new()
{
    private readonly FrozenDictionary<string, JsonMember<TRequest>>.AlternateLookup<ReadOnlySpan<char>> _members =
        members.ToFrozenDictionary(member => member.Name, StringComparer.Ordinal).GetAlternateLookup<ReadOnlySpan<char>>();

    /// <summary>Reads a JSON object in one pass. Members that are null count as absent.</summary>
    /// <param name="body">Must not change while the request is in use: verbatim parts of the request reference it.</param>
    /// <exception cref="RequestRefusedException">Always with a 4xx status, whatever the bytes are.</exception>
    public TRequest Read(ReadOnlyMemory<byte> body)
    {
        body = JsonBody.Check(body);
        try
        {
            var reader = new Utf8JsonReader(body.Span, JsonBody.Strict);
            reader.Read();
            var request = ReadObject(ref reader, body, out var half);
            reader.Read(); // throws if anything follows the object
            settle(request); // may name it more exactly
            return half is null ? request : throw JsonBody.HalfSurrogate(half);
        }
        catch (JsonException e)
        {
            throw JsonBody.Broken(e);
        }
    }

    /// <param name="half">A member that Skein reads and that holds half of a surrogate pair; null: none.</param>
    private TRequest ReadObject(ref Utf8JsonReader reader, ReadOnlyMemory<byte> body, out string? half)
    {
        half = null;
        if (reader.TokenType != JsonTokenType.StartObject)
            throw RequestRefusedException.Json(null, $"the body is {JsonExcerpt.Of(ref reader)}; allowed: a JSON object");
        var request = new TRequest();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        Span<char> buffer = stackalloc char[RequestLimits.MemberNameChars];
        var mayHoldHalf = SurrogateEscapes.MayHold(body.Span);
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            var name = buffer[..JsonBody.CopyName(ref reader, buffer)];
            var isKnown = _members.TryGetValue(name, out var member);
            var text = member?.Name ?? new string(name);
            if (!seen.Add(text))
                throw RequestRefusedException.Twice(text);
            reader.Read();
            if (reader.TokenType == JsonTokenType.Null)
                continue;
            var start = (int)reader.TokenStartIndex;
            if (isKnown)
                member!.Read(ref reader, text, body, request);
            else
                JsonField.Keep(ref reader, text, body, others(request));
            // What is kept verbatim is read later, by an engine, which would take it for a fault of its own.
            if (mayHoldHalf && isKnown && SurrogateEscapes.HoldHalf(body.Span[start..(int)reader.BytesConsumed]))
                half ??= text;
        }
        return request;
    }
}

/// <summary>What is checked of every JSON body, whatever its members are.</summary>
internal static class JsonBody
{
    public static readonly JsonReaderOptions Strict = new() { MaxDepth = RequestLimits.JsonDepth };

    private const int MaxCauseChars = 160;

    /// <summary>How the reader's message about too many levels begins.</summary>
    private const string TooDeep = "The maximum configured depth";

    /// <summary>Checks the encoding, and removes a byte order mark.</summary>
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

    public static RequestRefusedException HalfSurrogate(string field, Exception? cause = null) =>
        RequestRefusedException.Json(field, SurrogateEscapes.Problem, cause);

    /// <summary>Copies the name of the member that the reader is at, without escapes.</summary>
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
            throw RequestRefusedException.Json(null, $"the member name {JsonExcerpt.Of(ref reader)} {SurrogateEscapes.Problem}", e);
        }
    }

    /// <summary>The refusal of a body that is not JSON. The reader's message may quote the body: it is cut to one short line.</summary>
    public static RequestRefusedException Broken(JsonException e)
    {
        if (e.Message.StartsWith(TooDeep, StringComparison.Ordinal))
        {
            var at = $"line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1}";
            return RequestRefusedException.Json(null, $"the body is nested too deep at {at}; allowed: up to {RequestLimits.JsonDepth} levels", e);
        }

        var position = e.Message.IndexOf(" LineNumber:", StringComparison.Ordinal); // repeats the position at the end
        var cause = (position < 0 ? e.Message : e.Message[..position]).Replace(" Change the reader options.", "", StringComparison.Ordinal);
        if (cause.Length > MaxCauseChars)
            cause = cause[..MaxCauseChars] + "…";
        var line = string.Concat(cause.Select(c => char.IsControl(c) ? ' ' : c));
        return RequestRefusedException.Json(null, $"the body is not valid JSON at line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1}: {line}", e);
    }
}
