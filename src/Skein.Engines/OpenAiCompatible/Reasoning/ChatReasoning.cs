using Skein.Engines.OpenAiCompatible.Tools;

namespace Skein.Engines.OpenAiCompatible.Reasoning;

/// <summary>How the chats of a model are divided into reasoning and content when they are generated from token ids. Immutable.</summary>
/// <param name="Form">The model's marks; null: it has none, or they are unknown.</param>
/// <param name="Trims">See <see cref="ReasoningSplitter"/>.</param>
/// <param name="FollowsChatCall">
/// Whether the server's chat call generates the beginning of each answer: what it did not divide is not divided later.
/// </param>
internal sealed record ChatReasoning(ReasoningForm? Form, bool Trims, bool FollowsChatCall)
{
    /// <summary>Tokens at the end of a prompt that show whether the template has opened the reasoning.</summary>
    public const int PromptEndTokens = 32;

    /// <summary>Whether the end of the prompt matters.</summary>
    public bool NeedsPromptEnd => Form is not null && !FollowsChatCall;

    /// <summary>Divides an answer; null: all of its text is content.</summary>
    /// <param name="resume">What the client has; null: nothing.</param>
    /// <param name="promptEnd">Text of the last tokens of the prompt.</param>
    /// <param name="calls">Looks for tool calls; null: there can be none.</param>
    /// <exception cref="FaultException">It is not known how what the client has was divided.</exception>
    public SplitAnswer? Split(Resume? resume, string promptEnd, ToolCallWatch? calls)
    {
        var delivered = DeliveredReasoning.Of(resume is null ? default : resume.RawDeltas.Span)
            ?? throw Refused("the client has deltas that are neither text nor reasoning, such as a tool call");
        var content = resume?.Text.ToByteArray() ?? [];
        if (FollowsChatCall && delivered.Text.Length == 0)
            return content.Length > 0 ? Undivided() : throw Refused("nothing shows yet whether the answer begins with a reasoning");

        if (Form is null)
            return delivered.Text.Length == 0 ? Undivided() : throw Refused("the marks of the model's reasoning are unknown");

        if (!FollowsChatCall && Form.IsClosedBy(promptEnd))
            return Undivided();

        var opened = FollowsChatCall ? null : Form.OpenedBy(promptEnd);
        var begin = FollowsChatCall ? ReasoningBegin.MayRepeatTheMark
            : opened is not null ? ReasoningBegin.Behind
            : Form.BeginsInside ? ReasoningBegin.MayRepeatTheMark
            : ReasoningBegin.Before;
        var splitter = new ReasoningSplitter(Form, begin, Trims);
        splitter.Append(Encoding.UTF8.GetBytes(opened ?? ""));
        return new SplitAnswer(splitter, calls, delivered, content);

        SplitAnswer? Undivided() => calls is null ? null : new SplitAnswer(splitter: null, calls, delivered, content);
    }

    /// <summary>What an answer that is not divided begins with: the marks that the template has written at the end of the prompt. Empty: nothing.</summary>
    /// <param name="promptEnd">Text of the last tokens of the prompt.</param>
    public string MarksIn(string promptEnd) =>
        Form is not null && (Form.OpenedBy(promptEnd) is not null || Form.IsClosedBy(promptEnd))
        && promptEnd.LastIndexOf(Form.Open, StringComparison.Ordinal) is >= 0 and var open
            ? promptEnd[open..]
            : "";

    private static FaultException Refused(string why) => new(Fault.ResumeRefused, $"{why}; allowed: an answer that is generated from its beginning");
}
