using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary>Deltas that an engine sent as JSON objects: tool calls, reasoning. Streams pass them on; whole answers merge them.</summary>
internal static class RawDelta
{
    /// <summary>
    /// What stands between the braces, verbatim but on one line; empty where there is no delta or nothing in it. An engine may send its JSON in several
    /// lines; in an event stream of ours each would be a line of its own, for the client to take for a field.
    /// </summary>
    public static ReadOnlySpan<byte> Members(ReadOnlySpan<byte> json)
    {
        var trimmed = json.Trim(" \t\r\n"u8);
        if (trimmed.IsEmpty)
            return default;
        return IsObject(trimmed)
            ? OnOneLine(trimmed[1..^1].Trim(" \t\r\n"u8))
            : throw new InvalidDataException($"the replica sent a delta that is not a JSON object: {Encoding.UTF8.GetString(trimmed[..Math.Min(40, trimmed.Length)])}");
    }

    // Looked at to its end: what only begins and ends as an object may close the chunk around it, and open another.
    private static bool IsObject(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json);
        try
        {
            return reader.Read() && reader.TokenType == JsonTokenType.StartObject && reader.TrySkip() && !reader.Read();
        }
        catch (JsonException)
        {
            return false;
        }
    }

    // Between JSON's tokens a line break says the same as a blank, and within a text it may not stand.
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
    /// Adds a delta to what was merged so far, by the rule of OpenAI's chunks: texts grow, objects merge member by member, elements of
    /// arrays that carry an <c>index</c> merge with the element of that index, everything else is replaced.
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

    /// <summary>Names and kinds come whole, also where an engine repeats them in every delta.</summary>
    private static bool Grows(string name, JsonValue known, JsonValue more) =>
        name is not ("id" or "type" or "role" or "name")
        && known.GetValueKind() is JsonValueKind.String && more.GetValueKind() is JsonValueKind.String;
}
