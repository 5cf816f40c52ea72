using System.Buffers;
using System.Text.Json;
using Skein.Protocol.V1;

namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>
/// Writes one request body. Absent values write nothing. Of members with the same name the first is written: what the client sent besides is added last and
/// cannot replace a member of ours. Not safe for concurrent use.
/// </summary>
internal sealed class RequestJson
{
    private readonly ArrayBufferWriter<byte> _body;
    private readonly Utf8JsonWriter _writer;
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);

    public RequestJson()
        : this(new ArrayBufferWriter<byte>(256)) => _writer.WriteStartObject();

    private RequestJson(ArrayBufferWriter<byte> body) => (_body, _writer) = (body, new Utf8JsonWriter(body, new JsonWriterOptions { SkipValidation = true }));

    private RequestJson(RequestJson outer) => (_body, _writer) = (outer._body, outer._writer);

    public RequestJson Text(string name, string value)
    {
        if (Begin(name))
        {
            _writer.WriteStringValue(value);
        }

        return this;
    }

    public RequestJson Flag(string name, bool value)
    {
        if (Begin(name))
        {
            _writer.WriteBooleanValue(value);
        }

        return this;
    }

    public RequestJson Whole(string name, long? value)
    {
        if (value is { } number && Begin(name))
        {
            _writer.WriteNumberValue(number);
        }

        return this;
    }

    public RequestJson Number(string name, double? value)
    {
        if (value is { } number && Begin(name))
        {
            _writer.WriteNumberValue(number);
        }

        return this;
    }

    public RequestJson Ids(string name, IEnumerable<uint> ids) => List(name, ids, static (writer, id) => writer.WriteNumberValue(id));

    /// <summary>A list of texts; an empty one counts as absent.</summary>
    public RequestJson Texts(string name, IReadOnlyCollection<string> texts) =>
        texts.Count == 0 ? this : List(name, texts, static (writer, text) => writer.WriteStringValue(text));

    public RequestJson Object(string name, Action<RequestJson> members)
    {
        if (Begin(name))
        {
            _writer.WriteStartObject();
            members(new RequestJson(this));
            _writer.WriteEndObject();
        }

        return this;
    }

    /// <summary>JSON that was checked before, verbatim.</summary>
    public RequestJson Raw(string name, ReadOnlySpan<byte> json)
    {
        if (!json.IsEmpty && Begin(name))
        {
            _writer.WriteRawValue(json, skipInputValidation: true);
        }

        return this;
    }

    public RequestJson Extra(IEnumerable<RawMember> members)
    {
        foreach (var member in members)
        {
            Raw(member.Name, member.Json.Span);
        }

        return this;
    }

    /// <summary>The whole body. Nothing can be added after it.</summary>
    public ReadOnlyMemory<byte> ToBytes()
    {
        _writer.WriteEndObject();
        _writer.Flush();
        return _body.WrittenMemory;
    }

    private RequestJson List<T>(string name, IEnumerable<T> items, Action<Utf8JsonWriter, T> write)
    {
        if (Begin(name))
        {
            _writer.WriteStartArray();
            foreach (var item in items)
            {
                write(_writer, item);
            }

            _writer.WriteEndArray();
        }

        return this;
    }

    private bool Begin(string name)
    {
        var isNew = _names.Add(name);
        if (isNew)
        {
            _writer.WritePropertyName(name);
        }

        return isNew;
    }
}
