namespace Skein.Simulation.Membership;

/// <summary>Properties of a network link. Immutable. Whole microseconds and permille only, so that a seed replays on any machine.</summary>
public sealed record LinkModel
{
    /// <summary>Minimum one-way delay. Default 200 us.</summary>
    public TimeSpan Latency { get; init; } = TimeSpan.FromMicroseconds(200);

    /// <summary>Upper bound of a uniform additional delay, which also reorders packets. Default 300 us.</summary>
    public TimeSpan Jitter { get; init; } = TimeSpan.FromMicroseconds(300);

    /// <summary>Loss of datagrams in permille. Default 0.</summary>
    public int LossPermille { get; init; }

    /// <summary>Duplication of datagrams in permille. Default 0.</summary>
    public int DuplicatePermille { get; init; }

    /// <summary>Whether TCP streams work. Default true.</summary>
    public bool Streams { get; init; } = true;

    internal TimeSpan Delay(SeededRandom random) => Latency + random.Next(Jitter);
}
