using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace Skein.Routing.Streaming;

/// <summary>
/// Compares structured deltas (reasoning, tool calls) that are made again with those that the client has, however both are cut into pieces. Not thread-safe.
/// </summary>
/// <remarks>
/// By the rule of OpenAI's chunks: texts grow, except names, types and ids, which arrive whole; elements of arrays belong together by their <c>index</c>.
/// Ids of calls are drawn at random: the client keeps the one that it has.
/// </remarks>
internal sealed class DeltaComparison
{
    private const string IdMember = "id";
    private const string IndexMember = "index";

    private static readonly JsonDocumentOptions Options = new() { MaxDepth = RequestLimits.JsonDepth };

    private readonly Dictionary<string, GrownText> _texts = new(StringComparer.Ordinal);

    // Values that arrive whole, and whether they came again.
    private readonly Dictionary<string, (string Json, bool HasCome)> _values = new(StringComparer.Ordinal);

    /// <param name="deltas">What the client has: JSON objects one after the other.</param>
    public DeltaComparison(ReadOnlySpan<byte> deltas)
    {
        foreach (var delta in ObjectsIn(deltas))
            Note(delta, "");
        HasAny = !deltas.IsEmpty;
    }

    /// <summary>Whether the client has any.</summary>
    public bool HasAny { get; }

    /// <summary>Whether everything that the client has came again.</summary>
    public bool IsWhole => _texts.Values.All(text => text.IsWhole) && _values.Values.All(value => value.HasCome);

    /// <summary>Takes the next deltas.</summary>
    /// <returns>What the client does not have of them, as JSON objects one after the other; null if they differ from what it has.</returns>
    public byte[]? Take(ReadOnlySpan<byte> deltas)
    {
        if (deltas.IsEmpty || !HasAny)
            return deltas.ToArray();
        var rest = new ArrayBufferWriter<byte>();
        foreach (var delta in ObjectsIn(deltas))
        {
            var differs = false;
            rest.Write(Rest(delta, "", ref differs));
            if (differs)
                return null;
        }
        return rest.WrittenSpan.ToArray();
    }

    private static List<JsonElement> ObjectsIn(ReadOnlySpan<byte> deltas)
    {
        var objects = new List<JsonElement>();
        var reader = new Utf8JsonReader(deltas, new JsonReaderOptions { AllowMultipleValues = true, MaxDepth = Options.MaxDepth });
        while (reader.Read())
            objects.Add(JsonElement.ParseValue(ref reader));
        return objects;
    }

    private static bool IsWholeText(string path) =>
        path.EndsWith(".id", StringComparison.Ordinal) || path.EndsWith(".type", StringComparison.Ordinal) || path.EndsWith(".name", StringComparison.Ordinal);

    private static string PathOf(JsonElement element, string array, int position) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(IndexMember, out var index) && index.ValueKind == JsonValueKind.Number
            ? $"{array}[{index.GetRawText()}]"
            : $"{array}[{position}]";

    private void Note(JsonElement element, string path)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var member in element.EnumerateObject().Where(member => member.Name != IndexMember))
                    Note(member.Value, $"{path}.{member.Name}");
                break;
            case JsonValueKind.Array:
                foreach (var (position, item) in element.EnumerateArray().Index())
                    Note(item, PathOf(item, path, position));
                break;
            case JsonValueKind.String when !IsWholeText(path):
                if (!_texts.TryGetValue(path, out var text))
                    _texts[path] = text = new GrownText();
                text.Grow(TextOf(element));
                break;
            case JsonValueKind.Null or JsonValueKind.Undefined:
                break;
            // Servers repeat a name as an empty text.
            case var _ when element.ValueKind != JsonValueKind.String || !element.ValueEquals(""):
                _values[path] = (element.GetRawText(), HasCome: false);
                break;
        }
    }

    /// <returns>The JSON of what the client does not have; empty: nothing.</returns>
    private byte[] Rest(JsonElement element, string path, ref bool differs)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                return RestOfObject(element, path, ref differs);
            case JsonValueKind.Array:
                var items = new List<byte[]>();
                foreach (var (position, item) in element.EnumerateArray().Index())
                {
                    if (Rest(item, PathOf(item, path, position), ref differs) is { Length: > 0 } rest)
                        items.Add(rest);
                }
                return items.Count == 0 ? [] : [(byte)'[', .. Joined(items), (byte)']'];
            case JsonValueKind.Null or JsonValueKind.Undefined:
                return [];
            case JsonValueKind.String when _texts.TryGetValue(path, out var have):
                var text = TextOf(element);
                if (have.TryTake(text) is not { } known)
                {
                    differs = true;
                    return [];
                }
                return known == text.Length ? []
                    : known == 0 ? JsonMarshal.GetRawUtf8Value(element).ToArray()
                    : JsonSerializer.SerializeToUtf8Bytes(Encoding.UTF8.GetString(text.AsSpan(known)));
            default:
                if (!_values.TryGetValue(path, out var value))
                    return JsonMarshal.GetRawUtf8Value(element).ToArray();
                var isEmpty = element.ValueKind == JsonValueKind.String && element.ValueEquals("");
                differs |= !isEmpty && value.Json != element.GetRawText() && !path.EndsWith("." + IdMember, StringComparison.Ordinal);
                _values[path] = (value.Json, HasCome: true);
                return [];
        }
    }

    private byte[] RestOfObject(JsonElement element, string path, ref bool differs)
    {
        var members = new List<byte[]>();
        byte[]? index = null;
        foreach (var member in element.EnumerateObject())
        {
            if (member.Name == IndexMember)
                index = Member(member, JsonMarshal.GetRawUtf8Value(member.Value));
            else if (Rest(member.Value, $"{path}.{member.Name}", ref differs) is { Length: > 0 } rest)
                members.Add(Member(member, rest));
        }
        if (members.Count == 0)
            return [];
        if (index is not null)
            members.Insert(0, index);
        return [(byte)'{', .. Joined(members), (byte)'}'];
    }

    private static byte[] Member(JsonProperty member, ReadOnlySpan<byte> value) =>
        [(byte)'"', .. JsonMarshal.GetRawUtf8PropertyName(member), .. "\":"u8, .. value];

    private static IEnumerable<byte> Joined(List<byte[]> items) =>
        items.SelectMany((item, position) => position == 0 ? item : item.Prepend((byte)','));

    private static byte[] TextOf(JsonElement text)
    {
        try
        {
            return Encoding.UTF8.GetBytes(text.GetString()!);
        }
        catch (InvalidOperationException)
        {
            // Half of a character whose escape the server cut: both answers are compared by their escapes.
            return JsonMarshal.GetRawUtf8Value(text)[1..^1].ToArray();
        }
    }

    /// <summary>A text that the client has, and how much of it came again.</summary>
    private sealed class GrownText
    {
        private readonly ArrayBufferWriter<byte> _have = new();
        private int _at;

        public bool IsWhole => _at == _have.WrittenCount;

        public void Grow(ReadOnlySpan<byte> text) => _have.Write(text);

        /// <returns>The number of leading bytes that the client has; null if they differ.</returns>
        public int? TryTake(ReadOnlySpan<byte> text)
        {
            var left = _have.WrittenSpan[_at..];
            var known = Math.Min(text.Length, left.Length);
            if (!text[..known].SequenceEqual(left[..known]))
                return null;
            _at += known;
            return known;
        }
    }
}
