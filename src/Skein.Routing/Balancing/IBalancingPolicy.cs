using Skein.Routing.Fleet;

namespace Skein.Routing.Balancing;

/// <summary>
/// Chooses among the replicas that can take a request now. Stateless or thread-safe; called under the admission lock, so it must be fast and
/// must not allocate.
/// </summary>
public interface IBalancingPolicy
{
    /// <summary>Name in configuration: lower-case words joined by hyphens. Unique.</summary>
    string Name { get; }

    /// <summary>Index of the candidate to take, from 0 to the number of candidates - 1.</summary>
    int Pick(in PickContext context);
}

/// <summary>What a policy knows of one pick. Valid only during the call.</summary>
public readonly ref struct PickContext
{
    /// <summary>Replicas to choose from: at least one, each with a free slot.</summary>
    public required ReadOnlySpan<BalancingCandidate> Candidates { get; init; }

    /// <summary>Source of randomness, for ties and samples.</summary>
    public required IRandomSource Random { get; init; }

    public required string Model { get; init; }

    /// <summary>Key by which a client marks requests that belong together; empty if it gave none.</summary>
    public string SessionKey { get => field ?? ""; init; }

    /// <summary>Hashes of the prompt's prefix blocks, shortest prefix first; empty if not computed.</summary>
    public ReadOnlySpan<ulong> PrefixHashes { get; init; }
}

/// <summary>A replica with its load at the moment of the pick.</summary>
/// <param name="Load">Slots in use: leased here, plus the estimate of others' load.</param>
/// <param name="Warmth">Share of its weight that counts now: below 1 while the replica is new or returned.</param>
public readonly record struct BalancingCandidate(Replica Replica, double Load, double Warmth = 1)
{
    /// <summary>Load after taking one more, per unit of weight: lower is better.</summary>
    public double Score => (Load + 1) / (Replica.Description.Weight * Warmth);
}
