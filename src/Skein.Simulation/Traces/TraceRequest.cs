namespace Skein.Simulation.Traces;

/// <summary>One request of a trace. Immutable.</summary>
/// <param name="At">When it arrives, from the begin of the trace.</param>
/// <param name="PromptTokens">At least 1.</param>
/// <param name="AnswerTokens">At least 1.</param>
/// <param name="Blocks">
/// Ids of the prompt's blocks of <see cref="BlockTokens"/> tokens, the last one partial. Prompts that begin with the same ids begin with the same tokens.
/// Empty: unknown, it shares nothing.
/// </param>
public sealed record TraceRequest(TimeSpan At, int PromptTokens, int AnswerTokens, IReadOnlyList<int> Blocks)
{
    public const int BlockTokens = 512;
}
