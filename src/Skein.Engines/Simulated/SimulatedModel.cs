namespace Skein.Engines.Simulated;

/// <summary>What makes two simulated engines interchangeable. Immutable.</summary>
internal sealed class SimulatedModel
{
    // Raised with every change of vocabulary, sampling or tokenisation: engines of different builds must not resume each other's ids.
    private const int Build = 1;

    private readonly ulong _key;

    public SimulatedModel(SimulatedEngineOptions options)
    {
        _key = SplitMix.Mix(SplitMix.Mix(options.WeightsSeed, Build), options.Model);
        Description = new ModelDescription
        {
            Name = options.Model,
            Fingerprint = $"simulated-{Build}-{_key:x16}",
            ContextTokens = (uint)options.ContextTokens,
            ResumeTier = ResumeTier.Exact,
            Unit = TokenUnit.Token,
            Chat = true,
        };
    }

    public ModelDescription Description { get; }

    /// <summary>Decides, with the seed, every token of the answer to this prompt.</summary>
    public ulong PromptKey(ReadOnlySpan<uint> promptIds) => SplitMix.Mix(_key, promptIds);
}
