namespace Skein.Engines.OpenAiCompatible.Reasoning;

/// <summary>How a model marks its reasoning in the text that it generates. Immutable.</summary>
/// <param name="Open">Text in front of the reasoning; not empty, without white space around it.</param>
/// <param name="Close">Text behind it, likewise.</param>
internal sealed record ReasoningForm(string Open, string Close)
{
    /// <summary>A text that stands for the reasoning in a chat that is rendered to find the marks around it.</summary>
    public const string SampleReasoning = "Rqxz";

    /// <summary>Likewise for the content.</summary>
    public const string SampleContent = "Cqxz";

    /// <summary>
    /// Marks that models use, opening and closing ones: of these, a server's parser knows one pair, where templates do not show which.
    /// </summary>
    public static IReadOnlyList<ReasoningForm> Usual { get; } =
        [new("<think>", "</think>"), new("[THINK]", "[/THINK]"), new("◁think▷", "◁/think▷"), new("<seed:think>", "</seed:think>")];

    private const int MostMarkCharacters = 64;

    /// <summary>White space that the template writes behind <see cref="Open"/>.</summary>
    public string AfterOpen { get; init; } = "";

    /// <summary>White space that the template writes behind <see cref="Close"/>.</summary>
    public string AfterClose { get; init; } = "";

    /// <summary>Whether the server's parser takes the beginning of every answer for reasoning, with or without the opening mark.</summary>
    public bool BeginsInside { get; init; }

    /// <summary>The token of <see cref="Open"/>; null: it is not one token, or unknown.</summary>
    public uint? OpenId { get; init; }

    /// <summary>The token of <see cref="Close"/>, likewise.</summary>
    public uint? CloseId { get; init; }

    /// <summary>A chat whose last message has a reasoning, under the names that servers have for it.</summary>
    public static ReadOnlySpan<byte> SampleMessages =>
        """[{"role":"user","content":"Hi"},{"role":"assistant","reasoning_content":"Rqxz","reasoning":"Rqxz","content":"Cqxz"}]"""u8;

    /// <summary>The same chat without the answer.</summary>
    public static ReadOnlySpan<byte> SampleQuestion => """[{"role":"user","content":"Hi"}]"""u8;

    /// <summary>The form with the tokens of its marks.</summary>
    /// <param name="tokenize">Ids of a text that is not at the beginning of a prompt.</param>
    public async ValueTask<ReasoningForm> WithIdsAsync(Func<string, ValueTask<uint[]>> tokenize) => this with
    {
        OpenId = await tokenize(Open) is [var open] ? open : null,
        CloseId = await tokenize(Close) is [var close] ? close : null,
    };

    /// <summary>Whether the prompt has an empty reasoning at its end, so that the answer has none.</summary>
    public bool IsClosedBy(string promptEnd) => promptEnd.AsSpan().TrimEnd().EndsWith(Close, StringComparison.Ordinal);

    /// <summary>White space behind the opening mark at the end of a prompt; null if the prompt does not end with the mark.</summary>
    public string? OpenedBy(string promptEnd)
    {
        var marked = promptEnd.AsSpan().TrimEnd();
        return marked.EndsWith(Open, StringComparison.Ordinal) ? promptEnd[marked.Length..] : null;
    }

    /// <summary>Finds the marks in two rendered chats; null if the template shows no reasoning of earlier messages.</summary>
    /// <param name="question"><see cref="SampleQuestion"/> with the beginning of an answer.</param>
    /// <param name="answered"><see cref="SampleMessages"/>.</param>
    public static ReasoningForm? Find(string question, string answered)
    {
        var reasoning = answered.IndexOf(SampleReasoning, StringComparison.Ordinal);
        var content = reasoning < 0 ? -1 : answered.IndexOf(SampleContent, reasoning, StringComparison.Ordinal);
        if (content < 0)
            return null;

        var behind = answered.AsSpan((reasoning + SampleReasoning.Length)..content);
        var close = behind.Trim();
        var before = answered.AsSpan(0, reasoning);
        var open = before[Math.Min(question.AsSpan().CommonPrefixLength(before), reasoning)..].Trim();
        // The question's own end opens the reasoning, usually with the closing mark's counterpart.
        if (open.IsEmpty)
        {
            open = before.TrimEnd();
            var counterpart = close.ToString().Replace("/", "", StringComparison.Ordinal);
            open = open.EndsWith(counterpart, StringComparison.Ordinal) ? counterpart : LastMarkIn(open);
        }

        return open.IsEmpty || close.IsEmpty || open.Length > MostMarkCharacters || close.Length > MostMarkCharacters
            ? null
            : new ReasoningForm(open.ToString(), close.ToString())
            {
                AfterOpen = before[before.TrimEnd().Length..].ToString(),
                AfterClose = behind[behind.TrimEnd().Length..].ToString(),
            };
    }

    /// <summary>A mark in brackets at the end of a text; without brackets, all behind the last white space.</summary>
    private static ReadOnlySpan<char> LastMarkIn(ReadOnlySpan<char> text)
    {
        var bracket = text switch { [.., ']'] => text.LastIndexOf('['), [.., '>'] => text.LastIndexOf('<'), _ => -1 };
        return text[(bracket >= 0 ? bracket : text.LastIndexOfAny(" \t\r\n") + 1)..];
    }
}
