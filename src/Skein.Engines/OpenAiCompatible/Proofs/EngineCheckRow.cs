namespace Skein.Engines.OpenAiCompatible.Proofs;

/// <summary>How the lost answers of one kind of request come out.</summary>
/// <param name="Kind">What is asked for, such as <c>chat</c>.</param>
/// <param name="Tier">
/// The lowest tier that a client is told: exact also for answers that are the same when they are made again. Unspecified: the kind is not served.
/// </param>
/// <param name="Answers">Answers that were cut.</param>
/// <param name="Equal">Those that came out as the undisturbed one: text, reasoning, calls, log probabilities, finish reason and usage.</param>
/// <param name="Reason">What the first other one was, or why the kind is not served; empty: nothing.</param>
/// <param name="WhyNotExact">Why the tier is not exact; empty if it is.</param>
public sealed record EngineCheckRow(string Kind, ResumeTier Tier, int Answers, int Equal, string Reason, string WhyNotExact)
{
    /// <summary>Whether lost answers are made again from their beginning, and not continued.</summary>
    public bool IsMadeAgain { get; init; }

    /// <summary>Answers that had what the kind is about, a reasoning or tool calls; null: every answer has it.</summary>
    public int? Shown { get; init; }

    /// <summary>Whether the tier is exact, and an answer came out otherwise: the tier promises too much.</summary>
    public bool IsBroken => Tier == ResumeTier.Exact && Equal < Answers;
}
