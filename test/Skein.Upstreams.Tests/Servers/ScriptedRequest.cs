using System.Text.Json;

namespace Skein.Upstreams.Tests.Servers;

/// <summary>One request as a server received it. Immutable.</summary>
internal sealed record ScriptedRequest(string Method, string Path, IReadOnlyList<(string Name, string Value)> Headers, string Body)
{
    private static readonly string[] GenerationPaths = ["/v1/chat/completions", "/v1/completions", "/completion", "/generate"];

    /// <summary>Number among the generations of clients, or among the gateway's own ones, from 0.</summary>
    public int Number { get; init; }

    /// <summary>Number of the request on its connection, from 0.</summary>
    public int NumberOnConnection { get; init; }

    public bool IsGeneration => Method == "POST" && GenerationPaths.Contains(Path);

    /// <summary>Whether it serves a request of the test, not a probe of the gateway.</summary>
    public bool IsClients => Body.Contains(ScriptedServer.Mark, StringComparison.Ordinal);

    public JsonElement Json => JsonElement.Parse(Body);

    public bool IsStreamed =>
        Body.Length > 0 && Json is { ValueKind: JsonValueKind.Object } json
            && json.TryGetProperty("stream", out var stream) && stream.ValueKind == JsonValueKind.True;

    public bool IsChat => Path.EndsWith("/chat/completions", StringComparison.Ordinal);

    /// <summary>The text that the server is asked to continue: the last message if it is the assistant's, or what follows the question in a prompt.</summary>
    public string Delivered
    {
        get
        {
            if (!IsChat)
            {
                var prompt = Json.TryGetProperty("prompt", out var text) && text.ValueKind == JsonValueKind.String ? text.GetString()! : "";
                var end = prompt.IndexOf(ScriptedServer.Mark, StringComparison.Ordinal);
                // The gateway's own questions have no mark; the small model's answer to them has.
                var own = prompt.IndexOf(SmallModel.Words[0], StringComparison.Ordinal);
                return end >= 0 ? prompt[(end + ScriptedServer.Mark.Length)..] : own >= 0 ? prompt[own..] : "";
            }
            var messages = Json.GetProperty("messages");
            var last = messages[messages.GetArrayLength() - 1];
            return last.GetProperty("role").GetString() == "assistant"
                && last.TryGetProperty("content", out var content) && content.ValueKind == JsonValueKind.String
                ? content.GetString()!
                : "";
        }
    }

    public string? Header(string name) => Headers.FirstOrDefault(header => header.Name.Equals(name, StringComparison.OrdinalIgnoreCase)).Value;
}
