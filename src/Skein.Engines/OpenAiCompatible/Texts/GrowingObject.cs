using System.Buffers;

namespace Skein.Engines.OpenAiCompatible.Texts;

/// <summary>
/// A JSON object that arrives in pieces, merged by the rule of OpenAI's chunks: texts grow, except names and types, which arrive whole; objects merge member
/// by member; all other values are replaced. Values stay byte for byte as received. The reader of the pieces bounds the depth, the caller the size.
/// </summary>
internal sealed class GrowingObject
{
    private readonly OrderedDictionary<string, Value> _members = new(StringComparer.Ordinal);

    /// <summary>Merges one piece; returns by how many bytes the object grew.</summary>
    public int Add(JsonElement piece)
    {
        var grown = 0;
        foreach (var member in piece.EnumerateObject())
        {
            // Servers send null or an empty text for a member that they sent before.
            var isEmpty = member.Value.ValueKind == JsonValueKind.String && member.Value.ValueEquals("");
            if (member.Value.ValueKind == JsonValueKind.Null || (isEmpty && _members.ContainsKey(member.Name)))
                continue;

            if (!_members.TryGetValue(member.Name, out var known))
            {
                _members[member.Name] = known = new Value();
                grown += member.Name.Length;
            }

            grown += known.Add(member.Value, grows: member.Name is not ("id" or "type" or "name"));
        }

        return grown;
    }

    /// <summary>Sets a member; an existing one keeps its place.</summary>
    public void Set(string name, ReadOnlySpan<byte> json)
    {
        var value = new Value();
        value.Replace(json);
        _members[name] = value;
    }

    public void WriteTo(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        foreach (var (name, value) in _members)
        {
            writer.WritePropertyName(name);
            value.WriteTo(writer);
        }

        writer.WriteEndObject();
    }

    private sealed class Value
    {
        private readonly ArrayBufferWriter<byte> _json = new();
        private GrowingObject? _object;
        private bool _isOpenText;

        public int Add(JsonElement piece, bool grows)
        {
            var json = JsonMarshal.GetRawUtf8Value(piece);
            if (piece.ValueKind == JsonValueKind.Object)
                return (_object ??= new GrowingObject()).Add(piece);

            var before = _json.WrittenCount;
            if (grows && piece.ValueKind == JsonValueKind.String)
            {
                // The text between the quotes, with its escapes: an escaped character may be split between this piece and the next.
                if (!_isOpenText)
                {
                    Replace("\""u8);
                    _isOpenText = true;
                }

                _json.Write(json[1..^1]);
            }
            else
            {
                Replace(json);
            }

            return _json.WrittenCount - before;
        }

        public void Replace(ReadOnlySpan<byte> json)
        {
            (_object, _isOpenText) = (null, false);
            _json.ResetWrittenCount();
            _json.Write(json);
        }

        public void WriteTo(Utf8JsonWriter writer)
        {
            if (_object is not null)
            {
                _object.WriteTo(writer);
                return;
            }

            writer.WriteRawValue(_isOpenText ? [.. _json.WrittenSpan, (byte)'"'] : _json.WrittenSpan, skipInputValidation: true);
        }
    }
}
