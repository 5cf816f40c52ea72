using System.Text;

namespace Skein.Engines.Simulated;

/// <summary>
/// Makes simulated engines: deterministic ones that write readable nonsense, token i being a pure function of model, prompt, seed and i
/// (and, with penalties, of the tokens before it). They are the reference for tests of everything above an engine, and the lab's engine.
/// </summary>
/// <remarks>
/// What they do with a request: they run to <c>max_tokens</c> (default 128) or to a stop text. Temperature 0 ignores the seed; an absent
/// temperature is 1, an absent seed 0. Each position has up to eight candidates, to which top_p, top_k, min_p, penalties and logit_bias
/// apply in the usual way; penalties count the answer's tokens, not the prompt's. A logit_bias above 0 makes its token a candidate
/// everywhere. Log probabilities are those after penalties and bias, before temperature and cuts. Characters outside ASCII are split over
/// two tokens, the second of which follows the first without a choice. A chat is read as its JSON; tools are never called, and what asks
/// for JSON or for a call is refused.
/// </remarks>
public static class SimulatedEngineFactory
{
    /// <summary>Makes an engine.</summary>
    /// <param name="options">Its settings.</param>
    /// <param name="time">Paces the tokens.</param>
    /// <param name="crash">Ends the process, or cuts its connections; null: a crash is an engine error.</param>
    /// <exception cref="ArgumentException">A setting is out of its range; the message names it, its value and what is allowed.</exception>
    public static IInferenceEngine Create(SimulatedEngineOptions options, TimeProvider time, Action? crash = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(time);
        Check(Encoding.UTF8.GetByteCount(options.Model) is >= 1 and <= 256, nameof(options.Model), options.Model, "1 to 256 bytes");
        Check(options.ContextTokens is >= 16 and <= 1 << 24, nameof(options.ContextTokens), options.ContextTokens, "16 to 16777216");
        Check(options.Slots is null or >= 1, nameof(options.Slots), options.Slots, "1 or more");
        Check(IsIn(options.TokensPerSecond, 1e6), nameof(options.TokensPerSecond), options.TokensPerSecond, "0 to 1000000");
        Check(IsIn(options.PrefillTokensPerSecond, 1e9), nameof(options.PrefillTokensPerSecond), options.PrefillTokensPerSecond, "0 to 1000000000");
        Check(IsIn(options.StepGrowth, 10), nameof(options.StepGrowth), options.StepGrowth, "0 to 10");
        Check(IsIn(options.Jitter, 1), nameof(options.Jitter), options.Jitter, "0 to 1");
        Check(options.EnableFaults || options.Faults.Count == 0, nameof(options.Faults), options.Faults.Count, "none, unless faults are enabled");
        return new SimulatedEngine(options, time, crash);
    }

    private static bool IsIn(double value, double most) => value >= 0 && value <= most;

    private static void Check(bool isRight, string name, object? value, string allowed)
    {
        if (!isRight)
        {
            throw new ArgumentException(FormattableString.Invariant($"{name} is {value}; allowed: {allowed}"), name);
        }
    }
}
