using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Skein.Upstreams.Tests.Gateways;

/// <summary>An answer as it came. Immutable.</summary>
/// <param name="Status">0: there was none.</param>
/// <param name="Headers">In their order.</param>
/// <param name="Body">Without the framing of its chunks.</param>
/// <param name="IsComplete">Whether it ended as its framing says it must.</param>
/// <param name="Duration">From the request to the end.</param>
internal sealed record Reply(int Status, IReadOnlyList<(string Name, string Value)> Headers, string Body, bool IsComplete, TimeSpan Duration)
{
    /// <summary>The blocks of an event stream, without the blank lines between them.</summary>
    public IReadOnlyList<string> Blocks => Body.Split("\n\n", StringSplitOptions.RemoveEmptyEntries);

    /// <summary>The data of the events.</summary>
    public IReadOnlyList<string> Data =>
        [.. Body.Split('\n').Where(line => line.StartsWith("data:", StringComparison.Ordinal)).Select(line => line["data:".Length..].TrimStart())];

    public bool IsStream => Header("Content-Type")?.StartsWith("text/event-stream", StringComparison.Ordinal) == true;

    public bool IsDone => Data is [.., "[DONE]"];

    /// <summary>The events but <c>[DONE]</c>.</summary>
    public IReadOnlyList<JsonElement> Chunks => [.. Data.Where(data => data != "[DONE]").Select(data => JsonElement.Parse(data))];

    public JsonElement Json => JsonElement.Parse(Body);

    /// <summary>The events of a stream, or the whole answer.</summary>
    public IReadOnlyList<JsonElement> Objects => IsStream ? Chunks : Body is ['{', ..] ? [Json] : [];

    /// <summary>All choices of all events.</summary>
    public IReadOnlyList<JsonElement> Choices =>
        [.. Objects.SelectMany(chunk => Find(chunk, "choices") is { ValueKind: JsonValueKind.Array } choices ? choices.EnumerateArray().AsEnumerable() : [])];

    /// <summary>The deltas, or the messages of a whole answer.</summary>
    public IReadOnlyList<JsonElement> Deltas => [.. Choices.Select(choice => Find(choice, "delta") ?? Find(choice, "message")).OfType<JsonElement>()];

    /// <summary>The text of choice 0.</summary>
    public string Text => TextOfChoice(0);

    public IReadOnlyList<string> FinishReasons =>
        [.. Choices.Select(choice => Find(choice, "finish_reason")).OfType<JsonElement>().Where(reason => reason.ValueKind == JsonValueKind.String)
            .Select(reason => reason.GetString()!)];

    /// <summary>The last usage that is not null.</summary>
    public JsonElement? Usage =>
        Objects.Select(chunk => Find(chunk, "usage")).LastOrDefault(usage => usage is { ValueKind: JsonValueKind.Object });

    /// <summary>The error of a refusal, or of an event.</summary>
    public JsonElement? Error => Objects.Select(chunk => Find(chunk, "error")).FirstOrDefault(error => error is { ValueKind: JsonValueKind.Object });

    public string ErrorMessage => Error is { } error ? Find(error, "message")?.GetString() ?? "" : "";

    /// <summary>The text of a choice; choices without a number are choice 0.</summary>
    public string TextOfChoice(int number) =>
        string.Concat(Choices.Where(choice => (Find(choice, "index")?.GetInt32() ?? 0) == number).Select(TextOf));

    public string? Header(string name) => Headers.FirstOrDefault(header => header.Name.Equals(name, StringComparison.OrdinalIgnoreCase)).Value;

    public static JsonElement? Find(JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value) ? value : null;

    public static Reply Parse(string raw, TimeSpan duration)
    {
        var end = raw.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        if (end < 0)
            return new Reply(0, [], "", IsComplete: false, duration);
        var lines = raw[..end].Split("\r\n");
        (string Name, string Value)[] headers = [.. lines.Skip(1).Select(line => line.Split(':', 2)).Select(pair => (pair[0], pair[1].Trim()))];
        var status = int.Parse(lines[0].Split(' ')[1], CultureInfo.InvariantCulture);
        var body = raw[(end + 4)..];
        var isComplete = false;
        if (headers.Any(header => header.Name.Equals("Transfer-Encoding", StringComparison.OrdinalIgnoreCase)))
            (body, isComplete) = Dechunk(body);
        else if (headers.FirstOrDefault(header => header.Name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase)).Value is { } length)
            isComplete = body.Length >= int.Parse(length, CultureInfo.InvariantCulture);
        return new Reply(status, headers, Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(body)), isComplete, duration);
    }

    public override string ToString() =>
        $"{Status} after {Duration.TotalSeconds:0.00} s, {(IsComplete ? "complete" : "cut")}\n"
        + $"{string.Join('\n', Headers.Select(header => $"{header.Name}: {header.Value}"))}\n{Body}";

    private static string TextOf(JsonElement choice)
    {
        var content = Find(choice, "text") ?? Find(Find(choice, "delta") ?? Find(choice, "message") ?? default, "content");
        return content is { ValueKind: JsonValueKind.String } text ? text.GetString()! : "";
    }

    private static (string Body, bool IsComplete) Dechunk(string chunked)
    {
        var body = new StringBuilder();
        for (var at = 0; ;)
        {
            var line = chunked.IndexOf("\r\n", at, StringComparison.Ordinal);
            if (line < 0)
                return (body.ToString(), false);
            var size = int.Parse(chunked[at..line], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            if (size == 0)
                return (body.ToString(), true);
            body.Append(chunked.AsSpan(line + 2, Math.Min(size, chunked.Length - line - 2)));
            at = line + 2 + size + 2;
            if (at > chunked.Length)
                return (body.ToString(), false);
        }
    }
}
