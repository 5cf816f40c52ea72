using System.Buffers.Text;
using System.Text.Encodings.Web;
using System.Text.Json.Nodes;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary>Deltas that an engine sends as JSON objects: tool calls, reasoning. Streams forward them; whole answers merge them.</summary>
internal static class RawDelta
{
    /// <summary>Writes JSON without escapes that only HTML needs.</summary>
    public static readonly JsonSerializerOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The object with its braces, on one line.</summary>
    /// <exception cref="InvalidDataException">It is not a JSON object.</exception>
    public static ReadOnlySpan<byte> Object(ReadOnlySpan<byte> json) =>
        JsonShape.IsObject(json) ? OnOneLine(json) : throw new InvalidDataException("the replica sent a log probability that is not a JSON object");

    /// <summary>A number or null, as it is.</summary>
    /// <exception cref="InvalidDataException">It is neither.</exception>
    public static ReadOnlySpan<byte> Number(ReadOnlySpan<byte> json) =>
        json.SequenceEqual("null"u8) || (Utf8Parser.TryParse(json, out double _, out var length) && length == json.Length)
            ? json
            : throw new InvalidDataException("the replica sent a log probability that is not a number");

    /// <summary>The members between the braces, on one line; empty if there are none. A line break in an event would start a new field.</summary>
    /// <exception cref="InvalidDataException">The delta is not a JSON object.</exception>
    public static ReadOnlySpan<byte> Members(ReadOnlySpan<byte> json)
    {
        var trimmed = json.Trim(" \t\r\n"u8);
        if (trimmed.IsEmpty)
            return default;
        return JsonShape.IsObject(trimmed)
            ? OnOneLine(trimmed[1..^1].Trim(" \t\r\n"u8))
            : throw new InvalidDataException(
                $"the replica sent a delta that is not a JSON object: {Encoding.UTF8.GetString(trimmed[..Math.Min(40, trimmed.Length)])}");
    }

    // In valid JSON a line break only occurs between tokens, where a blank is equivalent.
    private static ReadOnlySpan<byte> OnOneLine(ReadOnlySpan<byte> members)
    {
        if (members.IndexOfAny((byte)'\r', (byte)'\n') < 0)
            return members;
        var line = members.ToArray();
        line.AsSpan().Replace((byte)'\r', (byte)' ');
        line.AsSpan().Replace((byte)'\n', (byte)' ');
        return line;
    }

    /// <summary>
    /// Merges a delta into the earlier ones by the rules of OpenAI's chunks: strings are appended, objects merge member by member, array elements
    /// with an <c>index</c> merge with the element of that index, everything else is replaced.
    /// </summary>
    public static void Merge(JsonObject into, JsonObject delta)
    {
        foreach (var (name, value) in delta)
        {
            switch (into[name], value)
            {
                case (JsonObject known, JsonObject more):
                    Merge(known, more);
                    break;
                case (JsonArray known, JsonArray more):
                    MergeElements(known, more);
                    break;
                case (null, JsonArray more):
                    MergeElements((JsonArray)(into[name] = new JsonArray()), more);
                    break;
                case (JsonValue known, JsonValue more) when Grows(name, known, more):
                    into[name] = known.GetValue<string>() + more.GetValue<string>();
                    break;
                case (not null, null):
                    break;
                default:
                    into[name] = value?.DeepClone();
                    break;
            }
        }
    }

    /// <summary>Merges members that are no deltas: later ones replace earlier ones, except token ids, which are those of the event.</summary>
    public static void Replace(JsonObject into, JsonObject members)
    {
        foreach (var (name, value) in members)
        {
            if (name == "token_ids" && into[name] is JsonArray known && value is JsonArray more)
                MergeElements(known, more);
            else
                into[name] = value?.DeepClone();
        }
    }

    /// <summary>The members of an object as JSON, between the braces; empty if there are none.</summary>
    public static ReadOnlySpan<byte> MembersOf(JsonObject? members) =>
        members is { Count: > 0 } ? JsonSerializer.SerializeToUtf8Bytes<JsonNode>(members, Plain).AsSpan()[1..^1] : default;

    /// <summary>Parses an object; null if there is none.</summary>
    /// <exception cref="InvalidDataException">It is not a JSON object, or names a member twice.</exception>
    public static JsonObject? Parse(ReadOnlySpan<byte> json)
    {
        if (Members(json).IsEmpty)
            return null;
        try
        {
            return JsonNode.Parse(json, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false })!.AsObject();
        }
        catch (JsonException e)
        {
            throw new InvalidDataException("the replica sent an object that cannot be read", e);
        }
    }

    private static void MergeElements(JsonArray into, JsonArray delta)
    {
        foreach (var element in delta)
        {
            var known = element is JsonObject { } item && Index(item) is { } index
                ? into.OfType<JsonObject>().FirstOrDefault(candidate => Index(candidate) == index)
                : null;
            if (known is null)
                into.Add(element?.DeepClone());
            else
                Merge(known, (JsonObject)element!);
        }
    }

    private static int? Index(JsonObject element) =>
        element["index"] is JsonValue value && value.TryGetValue<int>(out var index) ? index : null;

    /// <summary>Names and types are never split, but some engines repeat them in every delta.</summary>
    private static bool Grows(string name, JsonValue known, JsonValue more) =>
        name is not ("id" or "type" or "role" or "name")
        && known.GetValueKind() is JsonValueKind.String && more.GetValueKind() is JsonValueKind.String;
}
