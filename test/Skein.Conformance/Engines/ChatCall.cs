using System.Text.Json;

namespace Skein.Conformance.Engines;

/// <summary>One request for a chat, as an engine gets it.</summary>
internal sealed record ChatCall(JsonElement Body)
{
    public bool Stream => Body.TryGetProperty("stream", out var stream) && stream.ValueKind == JsonValueKind.True;

    /// <summary>Answers that are asked for.</summary>
    public int Choices => Body.TryGetProperty("n", out var n) && n.ValueKind == JsonValueKind.Number ? n.GetInt32() : 1;

    public bool Logprobs => Body.TryGetProperty("logprobs", out var logprobs) && logprobs.ValueKind == JsonValueKind.True;

    /// <summary>The JSON schema that the answer must follow, as OpenAI or as llama.cpp spells it; null if there is none.</summary>
    public JsonElement? Schema => !Body.TryGetProperty("response_format", out var format) ? null
        : (format.TryGetProperty("json_schema", out var named) ? named : format).TryGetProperty("schema", out var schema) ? schema
        : null;

    /// <summary>Texts that end the answer.</summary>
    public IReadOnlyList<string> Stop => !Body.TryGetProperty("stop", out var stop) ? []
        : stop.ValueKind == JsonValueKind.String ? [stop.GetString()!]
        : stop.ValueKind == JsonValueKind.Array ? [.. stop.EnumerateArray().Select(text => text.GetString()!)]
        : [];

    public JsonElement[] Messages => [.. Body.GetProperty("messages").EnumerateArray()];

    /// <summary>Names of the tools; empty if there are none.</summary>
    public IReadOnlyList<string> Tools => Body.TryGetProperty("tools", out var tools)
        ? [.. tools.EnumerateArray().Select(tool => tool.GetProperty("function").GetProperty("name").GetString()!)]
        : [];

    /// <summary>Results of tools so far.</summary>
    public IReadOnlyList<string> Results => [.. Messages.Where(message => RoleOf(message) == "tool").Select(TextOf)];

    /// <summary>Whether a text is anywhere in the messages.</summary>
    public bool Mentions(string text) => Messages.Any(message => TextOf(message).Contains(text, StringComparison.Ordinal));

    public static string RoleOf(JsonElement message) => message.GetProperty("role").GetString()!;

    /// <summary>The text of a message, its text parts joined.</summary>
    public static string TextOf(JsonElement message) => !message.TryGetProperty("content", out var content) ? ""
        : content.ValueKind == JsonValueKind.String ? content.GetString()!
        : content.ValueKind == JsonValueKind.Array
            ? string.Concat(content.EnumerateArray().Select(part => part.TryGetProperty("text", out var text) ? text.GetString() : ""))
        : "";
}

/// <summary>What a model says to one request.</summary>
/// <param name="Reasoning">Empty: none.</param>
internal sealed record Reply(string Text, string Reasoning = "", params IReadOnlyList<(string Name, object Arguments)> Calls)
{
    public static Reply Call(string text, string name, object arguments) => new(text, "", (name, arguments));

    /// <summary>The reply as a stop text leaves it.</summary>
    public Reply CutAt(IReadOnlyList<string> stop)
    {
        var end = stop.Select(text => Text.IndexOf(text, StringComparison.Ordinal)).Where(at => at >= 0).DefaultIfEmpty(Text.Length).Min();
        return this with { Text = Text[..end] };
    }

    /// <summary>Log probabilities of the text, a word a token: -0.5 each.</summary>
    public object Logprobs() => LogprobsOf(Words(Text));

    public static object LogprobsOf(params IEnumerable<string> tokens) => new
    {
        content = tokens.Select(token => new { token, logprob = -0.5, bytes = System.Text.Encoding.UTF8.GetBytes(token).Select(value => (int)value), top_logprobs = Array.Empty<object>() }),
    };

    /// <summary>The deltas of a stream: words, then the calls in two pieces each.</summary>
    public IEnumerable<object> Deltas(string callPrefix)
    {
        foreach (var word in Words(Reasoning))
            yield return new { reasoning_content = word };
        foreach (var word in Words(Text))
            yield return new { content = word };
        foreach (var (index, call) in Calls.Index())
        {
            var arguments = JsonSerializer.Serialize(call.Arguments);
            yield return new
            {
                tool_calls = new[] { new { index, id = $"{callPrefix}_{index}", type = "function", function = new { name = call.Name, arguments = arguments[..1] } } },
            };
            yield return new { tool_calls = new[] { new { index, function = new { arguments = arguments[1..] } } } };
        }
    }

    /// <summary>The message of an answer that is not streamed.</summary>
    public object Message(string callPrefix) => new
    {
        role = "assistant", content = Text, reasoning_content = Reasoning.Length > 0 ? Reasoning : null,
        tool_calls = Calls.Count == 0 ? null : Calls.Select((call, index) => new
        {
            id = $"{callPrefix}_{index}", type = "function", function = new { name = call.Name, arguments = JsonSerializer.Serialize(call.Arguments) },
        }),
    };

    private static IEnumerable<string> Words(string text)
    {
        var start = 0;
        for (var i = 1; i <= text.Length; i++)
        {
            if (i < text.Length && text[i - 1] != ' ')
                continue;
            yield return text[start..i];
            start = i;
        }
    }
}
