using Skein.Routing.Fleet;

namespace Skein.Routing.Balancing;

/// <summary>Chooses among replicas that can take a request now. Stateless or thread-safe; called under the admission lock, so it is short.</summary>
public interface IBalancingPolicy
{
    /// <summary>Name in configuration, lower-case words joined by hyphens. Unique.</summary>
    string Name { get; }

    /// <summary>Index of the candidate to take.</summary>
    /// <param name="candidates">At least one; each has a free slot.</param>
    /// <param name="random">For ties and samples.</param>
    int Pick(ReadOnlySpan<BalancingCandidate> candidates, IRandomSource random);
}

/// <summary>A replica with its load at the moment of the pick.</summary>
/// <param name="Replica">The replica.</param>
/// <param name="Load">Slots in use: leased here, plus the estimate of what others hold.</param>
/// <param name="Warmth">Share of its weight that it has now: below 1 while it is new or back.</param>
public readonly record struct BalancingCandidate(Replica Replica, double Load, double Warmth = 1)
{
    /// <summary>Load after taking one more, per unit of weight: lower is better.</summary>
    public double Score => (Load + 1) / (Replica.Description.Weight * Warmth);
}
