using System.Collections.Frozen;
using System.Text.Json;
using Google.Protobuf.Collections;
using Google.Protobuf;

namespace Skein.Gateway.Api.Http;

/// <summary>Reads the value of one member into the request. The reader is at the first token of the value, and is left at its last.</summary>
/// <param name="name">Name of the member, for errors.</param>
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

    /// <summary>A value that is kept as it is. Only the type of its first token is checked.</summary>
    public static JsonMember<TRequest> Verbatim(string name, string allowed, JsonTokenType[] types, Action<TRequest, ByteString> set) => new(name,
        (ref Utf8JsonReader reader, string field, ReadOnlyMemory<byte> body, TRequest request) =>
        {
            if (!types.Contains(reader.TokenType))
                throw RequestRefusedException.NotA(field, JsonExcerpt.Of(ref reader), allowed, allowed);
            set(request, JsonField.Verbatim(ref reader, body));
        });
}

/// <summary>The members that one endpoint reads. Every other member is kept verbatim for the engine.</summary>
/// <param name="members">One per name.</param>
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
            var request = ReadObject(ref reader, body);
            reader.Read(); // throws if anything follows the object
            settle(request);
            return request;
        }
        catch (JsonException e)
        {
            throw JsonBody.Broken(e);
        }
    }

    private TRequest ReadObject(ref Utf8JsonReader reader, ReadOnlyMemory<byte> body)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
            throw RequestRefusedException.Json(null, $"the body is {JsonExcerpt.Of(ref reader)}; allowed: a JSON object");
        var request = new TRequest();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        Span<char> buffer = stackalloc char[RequestLimits.MemberNameChars];
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            var name = buffer[..JsonBody.CopyName(ref reader, buffer)];
            var isKnown = _members.TryGetValue(name, out var member);
            var text = member?.Name ?? new string(name);
            if (!seen.Add(text))
                throw RequestRefusedException.Twice(text);
            reader.Read();
            if (!isKnown)
                Keep(ref reader, text, body, others(request));
            else if (reader.TokenType != JsonTokenType.Null)
                member!.Read(ref reader, text, body, request);
        }
        return request;
    }

    private static void Keep(ref Utf8JsonReader reader, string name, ReadOnlyMemory<byte> body, RepeatedField<RawMember> others)
    {
        if (others.Count == RequestLimits.ExtraMembers)
            throw RequestRefusedException.Invalid(name, $"is one unknown member too many; allowed: up to {RequestLimits.ExtraMembers}");
        others.Add(new RawMember { Name = name, Json = JsonField.Verbatim(ref reader, body) });
    }
}
