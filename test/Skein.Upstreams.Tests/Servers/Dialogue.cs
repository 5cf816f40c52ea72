using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Skein.Upstreams.Tests.Servers;

/// <summary>A recorded request and its answer. Immutable.</summary>
/// <param name="Server">The server's folder.</param>
/// <param name="Name">The file, without its ending.</param>
/// <param name="Body">The request's body; empty if it has none.</param>
/// <param name="Answer">The answer as it came, with its framing; empty: there was none.</param>
internal sealed partial record Dialogue(
    string Server, string Name, string Method, string Path, IReadOnlyList<(string Name, string Value)> Headers, string Body, byte[] Answer)
{
    /// <summary>Members that say how an answer is sent, not what it is. Skein sets them itself.</summary>
    private static readonly string[] Transport = ["stream", "stream_options", "return_token_ids", "return_tokens", "model"];

    private static readonly string Folder = System.IO.Path.Combine(AppContext.BaseDirectory, "Dialogues");

    public static IReadOnlyList<string> Servers { get; } =
        [.. Directory.GetDirectories(Folder).Select(path => System.IO.Path.GetFileName(path)!).Order(StringComparer.Ordinal)];

    public int Status => Answer.Length == 0 ? 0 : int.Parse(Encoding.ASCII.GetString(Answer, 9, 3), CultureInfo.InvariantCulture);

    /// <summary>The request without what only says how the answer is sent; null if it is no JSON object.</summary>
    public JsonObject? Asked => Normalize(Body);

    /// <summary>The answer's body without the framing of its chunks.</summary>
    public string AnswerBody => Gateways.Reply.Parse(Encoding.Latin1.GetString(Answer), TimeSpan.Zero).Body;

    /// <summary>Whether the answer ended as its framing says.</summary>
    public bool IsWhole => Gateways.Reply.Parse(Encoding.Latin1.GetString(Answer), TimeSpan.Zero) is { IsComplete: true } or { Status: >= 400 };

    public bool IsStreamed => Encoding.Latin1.GetString(Answer, 0, Math.Min(Answer.Length, 2048))
        .Contains("text/event-stream", StringComparison.OrdinalIgnoreCase);

    public static IReadOnlyList<Dialogue> Read(string server) =>
        [.. Directory.GetFiles(System.IO.Path.Combine(Folder, server), "*.http").Order(StringComparer.Ordinal).Select(file => Parse(server, file))];

    public static JsonObject? Normalize(string body)
    {
        try
        {
            if (JsonNode.Parse(body, documentOptions: new JsonDocumentOptions { MaxDepth = 64 }) is not JsonObject json)
                return null;
            foreach (var name in Transport)
                json.Remove(name);
            // Skein sends one of two names, and lists.
            if (json["max_completion_tokens"] is { } most)
            {
                json.Remove("max_completion_tokens");
                json["max_tokens"] = most.DeepClone();
            }
            if (json["stop"] is JsonValue stop)
                json["stop"] = new JsonArray(stop.DeepClone());
            return json;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static Dialogue Parse(string server, string file)
    {
        var bytes = File.ReadAllBytes(file);
        var cut = bytes.AsSpan().IndexOf("\n<<<\n"u8);
        var request = Encoding.UTF8.GetString(bytes, 0, cut);
        var end = request.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        var lines = (end < 0 ? request : request[..end]).Split("\r\n");
        var first = lines[0].Split(' ');
        var body = end < 0 ? "" : request[(end + 4)..].TrimEnd('\n');
        return new Dialogue(
            server,
            System.IO.Path.GetFileNameWithoutExtension(file),
            first[0],
            first[1],
            [.. lines.Skip(1).Where(line => line.Contains(':', StringComparison.Ordinal))
                .Select(line => line.Split(':', 2)).Select(pair => (pair[0], pair[1].Trim()))],
            body,
            WithItsLength(bytes[(cut + 5)..]));
    }

    // Paths in the recordings were replaced by shorter ones.
    private static byte[] WithItsLength(byte[] answer)
    {
        var end = answer.AsSpan().IndexOf("\r\n\r\n"u8);
        if (end < 0)
            return answer;
        var head = Encoding.Latin1.GetString(answer, 0, end);
        var length = (answer.Length - end - 4).ToString(CultureInfo.InvariantCulture);
        return [.. Encoding.Latin1.GetBytes(ContentLength().Replace(head, length)), .. answer.AsSpan(end)];
    }

    [GeneratedRegex(@"(?<=\r\ncontent-length: *)\d+", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex ContentLength();
}
