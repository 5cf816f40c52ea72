namespace Skein.Engines.Simulated;

/// <summary>Settings of the simulated engine. Immutable; checked by <see cref="SimulatedEngineFactory"/>.</summary>
public sealed record SimulatedEngineOptions
{
    /// <summary>Name of the one model it serves. 1 to 256 bytes. Two engines with the same model and weights give the same answers.</summary>
    public string Model { get; init; } = "simulated";

    /// <summary>Represents the model's weights: another value gives other answers and another fingerprint. Default 0.</summary>
    public ulong WeightsSeed { get; init; }

    /// <summary>Tokens that prompt and answer may have together. 16 to 16,777,216; default 8,192.</summary>
    public int ContextTokens { get; init; } = 8192;

    /// <summary>Requests at the same time, at least 1, as reported; the replica enforces it. Default (null): 64.</summary>
    public int? Slots { get; init; }

    /// <summary>Speed of a stream, in tokens per second. 0 (the default) is as fast as it can.</summary>
    public double TokensPerSecond { get; init; }

    /// <summary>Speed at which prompts, and answers that are resumed, are read, in tokens per second. 0 (the default) takes no time.</summary>
    public double PrefillTokensPerSecond { get; init; }

    /// <summary>
    /// Each step is made longer or shorter by up to this share of itself, the same for the same prompt and position. 0 (the default) to 1.
    /// </summary>
    public double Jitter { get; init; }

    /// <summary>Lets all streams share steps, instead of the speeds above. Default (null): each stream has a pace of its own.</summary>
    public SimulatedBatchOptions? Batch { get; init; }

    /// <summary>Whether faults may be injected, by <see cref="Faults"/> and by requests. Default false.</summary>
    public bool EnableFaults { get; init; }

    /// <summary>Name that <see cref="SimulatedFault.On"/> is compared with: the member name of the replica. Default: none.</summary>
    public string ReplicaName { get; init; } = "";

    /// <summary>Faults of every request. Allowed only with <see cref="EnableFaults"/>; default: none.</summary>
    public IReadOnlyList<SimulatedFault> Faults { get; init; } = [];
}
