using Skein.Membership.Core;

namespace Skein.Simulation.Membership;

/// <summary>What the network does to datagrams and streams. Immutable; whole microseconds and permille only, so that a seed replays anywhere.</summary>
public sealed record LinkModel
{
    /// <summary>Least one-way delay. Default 200 us.</summary>
    public TimeSpan Latency { get; init; } = TimeSpan.FromMicroseconds(200);

    /// <summary>Uniform addition to it, which also reorders. Default 300 us.</summary>
    public TimeSpan Jitter { get; init; } = TimeSpan.FromMicroseconds(300);

    /// <summary>Datagrams lost, in permille. Default 0.</summary>
    public int LossPermille { get; init; }

    /// <summary>Datagrams that come twice, in permille. Default 0.</summary>
    public int DuplicatePermille { get; init; }

    /// <summary>Whether streams work at all; without them only datagrams pass. Default true.</summary>
    public bool Streams { get; init; } = true;

    internal TimeSpan Delay(SeededRandom random) => Latency + random.Next(Jitter);
}
