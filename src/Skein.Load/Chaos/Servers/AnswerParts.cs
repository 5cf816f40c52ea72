using System.Globalization;

namespace Skein.Load.Chaos.Servers;

/// <summary>
/// What an answer says, without how it is cut into events: the texts, calls, log probabilities, token ids and finish reason of each choice, and the token
/// counts. Ids of answers and of calls and times are left out, because each answer has its own, and so is the number of cached tokens, which depends on what
/// the server was asked before. Not thread-safe.
/// </summary>
internal sealed class AnswerParts
{
    private const int MostChars = 4 << 20;
    private const int ShownChars = 40;

    private static readonly string[] FirstTexts = ["choice 0 text", "choice 0 content", "choice 0 reasoning"];

    // How many tokens of the prompt a server has in its cache. That it says so is compared.
    private const string CachedTokens = "cached_tokens";

    private static readonly string[] IdNames = ["prompt_token_ids", "token_ids"];

    // The second name repeats the first one where a server has both.
    private static readonly string[] ReasoningNames = ["reasoning_content", "reasoning"];

    private readonly SortedDictionary<string, StringBuilder> _parts = new(StringComparer.Ordinal);
    private int _chars;

    /// <summary>The server's error, in one line; null: none.</summary>
    public string? Error { get; private set; }

    /// <summary>Whether at least one choice has a finish reason.</summary>
    public bool IsFinished => _parts.Keys.Any(name => name.EndsWith(" finish_reason", StringComparison.Ordinal));

    /// <summary>Whether the model reasoned.</summary>
    public bool HasReasoning => _parts.Keys.Any(name => name.EndsWith(" reasoning", StringComparison.Ordinal));

    /// <summary>Whether the model called tools.</summary>
    public bool HasCalls => _parts.Keys.Any(name => name.Contains(" call ", StringComparison.Ordinal));

    /// <summary>The longest text of the first choice: its content or its reasoning.</summary>
    public string Text => FirstTexts.Select(Part).MaxBy(text => text.Length)!;

    /// <summary>Adds an event of a stream, or a whole answer.</summary>
    /// <exception cref="InvalidDataException">The answer is too long.</exception>
    public void Add(JsonElement chunk)
    {
        if (Member(chunk, "error") is { ValueKind: not JsonValueKind.Null } error)
            Error = (Member(error, "message") ?? error).ToString().ReplaceLineEndings(" ");
        AddIds("prompt", chunk);
        if (Member(chunk, "choices") is { ValueKind: JsonValueKind.Array } choices)
        {
            foreach (var choice in choices.EnumerateArray())
                AddChoice(choice);
        }

        if (Member(chunk, "usage") is { ValueKind: JsonValueKind.Object } usage)
        {
            _parts.Remove("usage");
            AddCounts(usage, "");
        }
    }

    /// <summary>The first part that differs, in one line; null if all are equal.</summary>
    public string? DifferenceFrom(AnswerParts expected)
    {
        foreach (var name in _parts.Keys.Union(expected._parts.Keys, StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            var (wanted, got) = (expected.Part(name), Part(name));
            if (wanted == got)
                continue;
            var at = wanted.AsSpan().CommonPrefixLength(got);
            return string.Create(
                CultureInfo.InvariantCulture, $"{name} differs at character {at} of {wanted.Length}: expected \"{Show(wanted, at)}\", got \"{Show(got, at)}\"");
        }

        return null;
    }

    private static JsonElement? Member(JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value) ? value : null;

    private static string? TextOf(JsonElement json, string name) =>
        Member(json, name) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;

    private static string Show(string text, int at) => text[at..Math.Min(text.Length, at + ShownChars)].ReplaceLineEndings(" ");

    private static int IndexOf(JsonElement json, int otherwise) =>
        Member(json, "index") is { ValueKind: JsonValueKind.Number } index && index.TryGetInt32(out var value) ? value : otherwise;

    private void AddChoice(JsonElement choice)
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"choice {IndexOf(choice, 0)}");
        Append($"{name} text", TextOf(choice, "text"));
        if ((Member(choice, "delta") ?? Member(choice, "message")) is { } delta)
        {
            Append($"{name} content", TextOf(delta, "content"));
            Append($"{name} reasoning", ReasoningNames.Select(member => TextOf(delta, member)).FirstOrDefault(text => text is not null));
            AddCalls(name, delta);
        }

        if (Member(choice, "logprobs") is { ValueKind: JsonValueKind.Object } logprobs)
        {
            foreach (var list in logprobs.EnumerateObject().Where(list => list.Value.ValueKind == JsonValueKind.Array))
            {
                foreach (var item in list.Value.EnumerateArray())
                    Append($"{name} logprobs {list.Name}", item.GetRawText() + " ");
            }
        }

        AddIds(name, choice);
        Append($"{name} finish_reason", TextOf(choice, "finish_reason"));
    }

    private void AddIds(string part, JsonElement json)
    {
        foreach (var name in IdNames)
        {
            if (Member(json, name) is not { ValueKind: JsonValueKind.Array } ids)
                continue;
            foreach (var id in ids.EnumerateArray())
                Append($"{part} {name}", id.GetRawText() + " ");
        }
    }

    private void AddCounts(JsonElement counts, string path)
    {
        foreach (var member in counts.EnumerateObject().OrderBy(member => member.Name, StringComparer.Ordinal))
        {
            if (member.Value.ValueKind == JsonValueKind.Object)
                AddCounts(member.Value, $"{path}{member.Name}.");
            else
                Append("usage", $"{path}{member.Name} {(member.Name == CachedTokens ? "told" : member.Value.GetRawText())}; ");
        }
    }

    private void AddCalls(string name, JsonElement delta)
    {
        if (Member(delta, "tool_calls") is not { ValueKind: JsonValueKind.Array } calls)
            return;
        var position = 0;
        foreach (var call in calls.EnumerateArray())
        {
            var function = Member(call, "function") ?? default;
            var part = string.Create(CultureInfo.InvariantCulture, $"{name} call {IndexOf(call, position++)}");
            Append($"{part} name", TextOf(function, "name"));
            Append($"{part} arguments", TextOf(function, "arguments"));
        }
    }

    private string Part(string name) => _parts.TryGetValue(name, out var text) ? text.ToString() : "";

    private void Append(string part, string? text)
    {
        if (string.IsNullOrEmpty(text))
            return;
        if ((_chars += text.Length) > MostChars)
            throw new InvalidDataException($"the answer has more than {MostChars} characters");
        if (!_parts.TryGetValue(part, out var all))
            _parts[part] = all = new StringBuilder();
        all.Append(text);
    }
}
