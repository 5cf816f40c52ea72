using System.Buffers;
using System.Diagnostics.CodeAnalysis;

namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>
/// Writes one request body. Absent values write nothing. Of members with the same name only the first is written: the client's other members are added last and
/// cannot replace those of the adapter. Not safe for concurrent use.
/// </summary>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "A writer to a buffer owns memory only.")]
internal sealed class RequestJson
{
    // Null inside an object of the body.
    private readonly ArrayBufferWriter<byte>? _body;
    private readonly Utf8JsonWriter _writer;
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);

    /// <param name="verbatimBytes">Length of the long parts that are written verbatim. The buffer begins with room for them: its growth is costly.</param>
    public RequestJson(int verbatimBytes = 0)
    {
        _body = new ArrayBufferWriter<byte>(verbatimBytes + 256);
        _writer = new Utf8JsonWriter(_body, new JsonWriterOptions { SkipValidation = true });
        _writer.WriteStartObject();
    }

    private RequestJson(Utf8JsonWriter outer) => _writer = outer;

    public RequestJson Text(string name, string value) => Write(name, value, static (writer, text) => writer.WriteStringValue(text));

    public RequestJson Flag(string name, bool value) => Write(name, value, static (writer, flag) => writer.WriteBooleanValue(flag));

    public RequestJson Whole(string name, long? value) =>
        value is { } number ? Write(name, number, static (writer, number) => writer.WriteNumberValue(number)) : this;

    public RequestJson Number(string name, double? value) =>
        value is { } number ? Write(name, number, static (writer, number) => writer.WriteNumberValue(number)) : this;

    public RequestJson Ids(string name, IEnumerable<uint> ids) => Write(name, ids, static (writer, ids) =>
    {
        writer.WriteStartArray();
        foreach (var id in ids)
            writer.WriteNumberValue(id);

        writer.WriteEndArray();
    });

    /// <summary>A list of texts; an empty one counts as absent.</summary>
    public RequestJson Texts(string name, IReadOnlyCollection<string> texts) =>
        texts.Count == 0 ? this : Raw(name, JsonSerializer.SerializeToUtf8Bytes(texts));

    public RequestJson Object(string name, Action<RequestJson> members) => Write(name, members, static (writer, members) =>
    {
        writer.WriteStartObject();
        members(new RequestJson(writer));
        writer.WriteEndObject();
    });

    /// <summary>Writes JSON that was checked before, verbatim.</summary>
    public RequestJson Raw(string name, ReadOnlySpan<byte> json)
    {
        if (!json.IsEmpty && _names.Add(name))
        {
            _writer.WritePropertyName(name);
            _writer.WriteRawValue(json, skipInputValidation: true);
        }

        return this;
    }

    public RequestJson Extra(IEnumerable<RawMember> members)
    {
        foreach (var member in members)
            Raw(member.Name, member.Json.Span);

        return this;
    }

    /// <summary>The whole body. Nothing can be added after it.</summary>
    public ReadOnlyMemory<byte> ToBytes()
    {
        _writer.WriteEndObject();
        _writer.Flush();
        return _body!.WrittenMemory;
    }

    private RequestJson Write<T>(string name, T value, Action<Utf8JsonWriter, T> write)
    {
        if (_names.Add(name))
        {
            _writer.WritePropertyName(name);
            write(_writer, value);
        }

        return this;
    }
}
