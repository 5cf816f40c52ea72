using System.Text.Json;

namespace Skein.Upstreams.Tests.Servers;

/// <summary>
/// The token ids of scripted servers: a letter is a token, and so is the beginning of an answer. The model answers every prompt with the same tokens, and
/// continues them by their ids. Immutable.
/// </summary>
/// <param name="answer">Pieces of the answer, one a token.</param>
internal sealed class TokenModel(IReadOnlyList<string> answer)
{
    public const uint EndId = 2;

    public const uint FirstAnswerId = 500_000;

    /// <summary>The end of every prompt.</summary>
    public const uint AssistantId = 999_999;

    /// <summary>The first of the letters, in the order of their codes.</summary>
    public const uint FirstLetterId = 1_000_000;

    /// <summary>Ids of the answer that follow a prompt, with the one that ends it.</summary>
    public IReadOnlyList<uint> After(IReadOnlyList<uint> prompt, int limit)
    {
        var said = SaidIn(prompt);
        return [.. Enumerable.Range(said, Math.Max(0, answer.Count - said)).Select(index => FirstAnswerId + (uint)index).Append(EndId).Take(limit)];
    }

    /// <summary>Number of tokens of the answer that a prompt ends with.</summary>
    public static int SaidIn(IReadOnlyList<uint> prompt) => prompt.Reverse().TakeWhile(id => id != AssistantId).Count();

    /// <summary>The prompt of a request's messages, text or ids.</summary>
    public List<uint> PromptOf(JsonElement request)
    {
        if (!request.TryGetProperty("messages", out var messages))
        {
            var prompt = request.GetProperty("prompt");
            // Without what begins a prompt, a mark is one token.
            var isPart = request.TryGetProperty("add_special_tokens", out var special) && special.ValueKind == JsonValueKind.False;
            if (isPart && MarkOf(prompt.ToString()) is { } mark)
                return [mark];
            return prompt.ValueKind == JsonValueKind.Array ? [.. prompt.EnumerateArray().Select(id => id.GetUInt32())] : OfText(prompt.GetString()!);
        }

        List<uint> ids = [];
        foreach (var message in messages.EnumerateArray())
        {
            var isAnswer = message.TryGetProperty("role", out var role) && role.ToString() == "assistant";
            ids.AddRange(isAnswer ? [AssistantId] : []);
            ids.AddRange(message.TryGetProperty("reasoning", out var reasoning) ? Letters($"<think>\n{reasoning.GetString()}\n</think>\n\n") : []);
            ids.AddRange(Letters(message.TryGetProperty("content", out var content) ? content.ToString() : ""));
        }

        // A last message of the assistant starts a new turn unless the request says otherwise.
        var continues = request.TryGetProperty("continue_final_message", out var flag) && flag.ValueKind == JsonValueKind.True;
        return continues ? Continued(ids) : [.. ids, AssistantId];
    }

    /// <summary>The prompt of a text, which may have the beginning of the answer at its end.</summary>
    public List<uint> OfText(string text)
    {
        var begin = text.IndexOf(answer[0], StringComparison.Ordinal);
        return begin < 0 ? [.. Letters(text), AssistantId] : Continued([.. Letters(text[..begin]), AssistantId, .. Letters(text[begin..])]);
    }

    /// <summary>The token of a mark of reasoning; null: it is none.</summary>
    private uint? MarkOf(string text)
    {
        var index = answer.TakeWhile(piece => piece != text).Count();
        return text is not ("<think>" or "</think>") ? null : index < answer.Count ? FirstAnswerId + (uint)index : PieceIds.Of(text);
    }

    public string TextOf(IEnumerable<uint> ids) => string.Concat(ids.Select(TextOf));

    public string TextOf(uint id) =>
        id >= FirstLetterId ? ((char)(id - FirstLetterId)).ToString()
        : id >= FirstAnswerId && id < FirstAnswerId + answer.Count ? answer[(int)(id - FirstAnswerId)]
        : "";

    public static List<uint> IdsIn(JsonElement json, string name) => [.. json.GetProperty(name).EnumerateArray().Select(id => id.GetUInt32())];

    private List<uint> Continued(List<uint> ids)
    {
        var begin = ids.LastIndexOf(AssistantId) + 1;
        var said = TextOf(ids.Skip(begin));
        var count = 0;
        while (said.Length > 0 && count < answer.Count && said.StartsWith(answer[count], StringComparison.Ordinal))
            said = said[answer[count++].Length..];
        return [.. ids.Take(begin), .. Enumerable.Range(0, count).Select(index => FirstAnswerId + (uint)index)];
    }

    private static IEnumerable<uint> Letters(string text) => text.Select(letter => FirstLetterId + letter);
}
