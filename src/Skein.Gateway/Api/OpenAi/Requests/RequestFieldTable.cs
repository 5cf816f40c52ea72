using System.Collections.Frozen;
using System.Text.Json;
using Google.Protobuf;
using Skein.Protocol;

namespace Skein.Gateway.Api.OpenAi.Requests;

/// <summary>Reads one member's value into the request. The reader stands on the value's first token, and is left on its last.</summary>
/// <param name="name">The member's name, for errors.</param>
/// <param name="body">The whole body, for values kept verbatim.</param>
internal delegate void RequestFieldReader(ref Utf8JsonReader reader, string name, ReadOnlyMemory<byte> body, OpenAiRequest request);

/// <summary>A member that Skein understands.</summary>
internal sealed record RequestField(string Name, RequestFieldReader Read)
{
    public static RequestField Flag(string name, Action<OpenAiRequest, bool> set) => new(name,
        (ref Utf8JsonReader reader, string field, ReadOnlyMemory<byte> _, OpenAiRequest request) =>
            set(request, JsonField.Flag(ref reader, field)));

    public static RequestField Number(string name, NumberRange allowed, Action<OpenAiRequest, float> set) => new(name,
        (ref Utf8JsonReader reader, string field, ReadOnlyMemory<byte> _, OpenAiRequest request) =>
            set(request, JsonField.Number(ref reader, field, allowed)));

    public static RequestField Whole(string name, NumberRange allowed, Action<OpenAiRequest, uint> set) => new(name,
        (ref Utf8JsonReader reader, string field, ReadOnlyMemory<byte> _, OpenAiRequest request) =>
            set(request, JsonField.Whole(ref reader, field, allowed)));

    /// <summary>A value that travels as it is; only the type of its outermost token is checked.</summary>
    public static RequestField Verbatim(string name, string allowed, JsonTokenType[] types, Action<OpenAiRequest, ByteString> set) => new(name,
        (ref Utf8JsonReader reader, string field, ReadOnlyMemory<byte> body, OpenAiRequest request) =>
        {
            if (!types.Contains(reader.TokenType))
                throw RequestRefusedException.NotA(field, JsonField.Describe(ref reader), allowed, allowed);
            set(request, JsonField.Verbatim(ref reader, body));
        });
}

/// <summary>The members one path understands, and how what they say together is settled. Every other member goes on verbatim.</summary>
/// <param name="settle">Runs after the last member: required members, members that depend on each other.</param>
internal sealed class RequestFieldTable(IEnumerable<RequestField> members, Action<OpenAiRequest> settle)
{
    private readonly FrozenDictionary<string, RequestField>.AlternateLookup<ReadOnlySpan<char>> _members =
        members.ToFrozenDictionary(member => member.Name, StringComparer.Ordinal).GetAlternateLookup<ReadOnlySpan<char>>();

    /// <summary>The member of that name; null for one that Skein does not know.</summary>
    public RequestField? Find(ReadOnlySpan<char> name) => _members.TryGetValue(name, out var member) ? member : null;

    public void Settle(OpenAiRequest request) => settle(request);
}
