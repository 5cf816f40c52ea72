namespace Skein.Engines.Simulated;

/// <summary>
/// Creates simulated engines. They are deterministic and write readable nonsense: token i is a pure function of model, prompt, seed and i (with penalties,
/// also of the tokens before it). They are the reference for tests of everything above an engine.
/// </summary>
/// <remarks>
/// An answer runs to <c>max_tokens</c> (default 128) or to a stop text. Temperature 0 ignores the seed; the default temperature is 1, the default
/// seed 0. Each position has up to eight candidates, to which top_p, top_k, min_p, penalties and logit_bias apply in the usual way; penalties count
/// the tokens of the answer, not of the prompt. A logit_bias above 0 makes its token a candidate everywhere. Log probabilities are taken after penalties
/// and bias, before temperature and cuts. Characters outside ASCII are split over two tokens; the second always follows the first. A chat is read as its
/// JSON. Tools are never called; requests for JSON or for a call are refused.
/// </remarks>
public sealed class SimulatedEngineFactory : IEngineFactory
{
    public const string Kind = "simulated";

    private static readonly EngineSetting EnableFaults = new(
        "enable-faults", EngineSettingKind.Flag, "Let requests ask the simulated engine for faults (tests only)");

    private static readonly EngineSetting BatchStepMs = new(
        "batch-step-ms", EngineSettingKind.Number,
        "Simulated engine: all streams share steps; milliseconds of a step without any, as of 'skein simulate trace' [default: each stream has its own pace]")
        { Min = 0.001, Max = 10_000 };

    private static readonly EngineSetting BatchSequenceMs = new(
        "batch-sequence-ms", EngineSettingKind.Number, "Simulated engine: milliseconds that each stream adds to a step [default: 0.4]") { Max = 10_000 };

    private static readonly EngineSetting BatchPrefillRate = new(
        "batch-prefill-tokens-per-second", EngineSettingKind.Number, "Simulated engine: prompt tokens per second in steps [default: 20000]")
        { Min = 1, Max = 100_000_000 };

    private static readonly EngineSetting BatchChunk = new(
        "batch-chunk-tokens", EngineSettingKind.Number, "Simulated engine: most prompt tokens of one step [default: 2048]") { Min = 1, Max = 10_000_000 };

    /// <summary>Bytes of a prompt's token: a text of N times as many ASCII characters has N tokens.</summary>
    public const int BytesPerPromptToken = SimulatedVocabulary.BytesPerPromptToken;

    /// <summary>Context of an engine with a batch, whose prompts are as long as those of traces.</summary>
    private const int BatchContextTokens = 1 << 20;

    public string Help => Kind;

    public string Allowed => Kind;

    public string Subject => "the simulated engine";

    public IReadOnlyList<EngineSetting> Settings { get; } = 
        [EngineSetting.TokensPerSecond, EnableFaults, BatchStepMs, BatchSequenceMs, BatchPrefillRate, BatchChunk];

    /// <param name="crash">Ends the process, or closes its connections; null: a crash is an engine error.</param>
    /// <exception cref="ArgumentException">A setting is out of its range; the message names it, its value and what is allowed.</exception>
    public static IInferenceEngine Create(SimulatedEngineOptions options, TimeProvider time, Action? crash = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(time);
        OptionGuard.Require(Encoding.UTF8.GetByteCount(options.Model) is >= 1 and <= 256, nameof(options.Model), options.Model, "1 to 256 bytes");
        OptionGuard.Range(options.ContextTokens, 16, 1 << 24, nameof(options.ContextTokens));
        OptionGuard.Range(options.Slots ?? 1, 1, int.MaxValue, nameof(options.Slots));
        OptionGuard.Range(options.TokensPerSecond, 0, 1_000_000, nameof(options.TokensPerSecond));
        OptionGuard.Range(options.PrefillTokensPerSecond, 0, 1_000_000_000, nameof(options.PrefillTokensPerSecond));
        OptionGuard.Range(options.Jitter, 0, 1, nameof(options.Jitter));
        if (options.Batch is { } batch)
        {
            OptionGuard.Range(batch.StepMs, 0.001, 10_000, nameof(batch.StepMs));
            OptionGuard.Range(batch.SequenceMs, 0, 10_000, nameof(batch.SequenceMs));
            OptionGuard.Range(batch.PrefillTokensPerSecond, 1, 100_000_000, nameof(batch.PrefillTokensPerSecond));
            OptionGuard.Range(batch.ChunkTokens, 1, 10_000_000, nameof(batch.ChunkTokens));
        }

        OptionGuard.Require(
            options.EnableFaults || options.Faults.Count == 0, nameof(options.Faults), options.Faults.Count, "none, unless faults are enabled");
        return new SimulatedEngine(options, time, crash);
    }

    public bool Matches(string engine) => engine == Kind;

    public Task<IInferenceEngine> CreateAsync(EngineConfiguration configuration, CancellationToken cancellationToken)
    {
        var options = new SimulatedEngineOptions
        {
            TokensPerSecond = configuration.Get(EngineSetting.TokensPerSecond, 0d),
            EnableFaults = configuration.Get(EnableFaults, false),
            ReplicaName = configuration.MemberName,
        };
        if (configuration.Get(BatchStepMs, 0d) is > 0 and var stepMs)
        {
            var defaults = new SimulatedBatchOptions();
            options = options with
            {
                ContextTokens = BatchContextTokens,
                Batch = new SimulatedBatchOptions
                {
                    StepMs = stepMs,
                    SequenceMs = configuration.Get(BatchSequenceMs, defaults.SequenceMs),
                    PrefillTokensPerSecond = configuration.Get(BatchPrefillRate, defaults.PrefillTokensPerSecond),
                    ChunkTokens = (int)configuration.Get(BatchChunk, (double)defaults.ChunkTokens),
                },
            };
        }
        return Task.FromResult(Create(options, TimeProvider.System, configuration.Crash));
    }
}
