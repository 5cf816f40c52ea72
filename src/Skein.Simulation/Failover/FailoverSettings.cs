namespace Skein.Simulation.Failover;

/// <summary>Settings of the failover simulation. Immutable.</summary>
public sealed record FailoverSettings
{
    /// <summary>Failovers after which the run ends. 1 to 10,000,000; default 10,000.</summary>
    public int Failovers { get; init; } = 10_000;

    /// <summary>Seed of all randomness. Default 1.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>Replicas. 3 to 1,000; default 6. Two of them are never harmed.</summary>
    public int Replicas { get; init; } = 6;

    /// <summary>Streams at any moment. 1 to 10,000; default 60. The replicas that are never harmed have slots for all of them.</summary>
    public int Streams { get; init; } = 60;

    internal string? Problem =>
        Failovers is < 1 or > 10_000_000 ? $"failovers is {Failovers}: allowed are 1 to 10,000,000"
        : Replicas is < 3 or > 1000 ? $"replicas is {Replicas}: allowed are 3 to 1,000"
        : Streams is < 1 or > 10_000 ? $"streams is {Streams}: allowed are 1 to 10,000"
        : null;
}
