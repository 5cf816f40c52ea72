using Skein.Routing.Fleet;

namespace Skein.Routing.Balancing;

/// <summary>
/// Chooses among the replicas that can take a request now. Stateless or thread-safe, unless <see cref="ForModel"/> returns a new instance; called under the
/// admission lock, so it must be fast and must not allocate.
/// </summary>
public interface IBalancingPolicy
{
    /// <summary>Name in configuration: lower-case words joined by hyphens. Unique.</summary>
    string Name { get; }

    /// <summary>
    /// Whether it uses <see cref="PickContext.PrefixHashes"/>. Otherwise they are not computed: that reads every prompt once. Default false.
    /// </summary>
    bool UsesPrefixes => false;

    /// <summary>The instance for one model of one gateway. A policy that learns from its picks returns a new one. Default: this one.</summary>
    IBalancingPolicy ForModel() => this;

    /// <summary>Index of the candidate to take, from 0 to the number of candidates - 1. The pick may remain unused.</summary>
    int Pick(in PickContext context);

    /// <summary>The last pick was used: the replica's slot is reserved. Default: nothing happens.</summary>
    /// <param name="picked">What <see cref="Pick"/> returned.</param>
    void Used(in PickContext context, int picked)
    {
    }
}

/// <summary>What a policy knows of one pick. Valid only during the call.</summary>
public readonly ref struct PickContext
{
    /// <summary>Replicas to choose from: at least one, each with a free slot.</summary>
    public required ReadOnlySpan<BalancingCandidate> Candidates { get; init; }

    /// <summary>Source of randomness, for ties and samples.</summary>
    public required IRandomSource Random { get; init; }

    public required string Model { get; init; }

    /// <summary>Time of the pick, on the queue's clock.</summary>
    public TimeSpan Now { get; init; }

    /// <summary>Number of replicas that serve the model, whether they have a free slot or not.</summary>
    public int Serving { get; init; }

    /// <summary>Key by which a client marks requests that belong together; empty if it gave none.</summary>
    public string SessionKey { get => field ?? ""; init; }

    /// <summary>Hashes of the prompt's prefixes, shortest first; empty if not computed. See <see cref="PromptPrefixes"/>.</summary>
    public ReadOnlySpan<ulong> PrefixHashes { get; init; }
}

/// <summary>A replica with its load at the moment of the pick.</summary>
/// <param name="Load">Slots in use: leased here, plus the estimate of others' load.</param>
/// <param name="Warmth">Share of its weight that counts now: below 1 while the replica is new or returned.</param>
public readonly record struct BalancingCandidate(Replica Replica, double Load, double Warmth = 1)
{
    /// <summary>Its weight now.</summary>
    public double Weight => Replica.Weight * Warmth;

    /// <summary>Load after taking one more, per unit of weight: lower is better.</summary>
    public double Score => (Load + 1) / Weight;
}
