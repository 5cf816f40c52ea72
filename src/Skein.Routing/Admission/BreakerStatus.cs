using Skein.Routing.Fleet;
using Skein.Routing.Health;

namespace Skein.Routing.Admission;

/// <summary>How one gateway stands to a replica at one moment.</summary>
/// <param name="Replica">Which.</param>
/// <param name="State">Where its breaker stands.</param>
/// <param name="Ejections">How often that was opened in this life of the replica.</param>
/// <param name="Reachable">False from a broken connection until it answers again.</param>
/// <param name="Warming">New or back, and not yet given its full share.</param>
public readonly record struct BreakerStatus(ReplicaId Replica, BreakerState State, long Ejections, bool Reachable, bool Warming)
{
    /// <summary>In one word, what weighs most first: <c>unreachable</c>, <c>ejected</c>, <c>trial</c>, <c>warming</c> or <c>ok</c>.</summary>
    public string Word => (Reachable, State, Warming) switch
    {
        (false, _, _) => "unreachable",
        (_, BreakerState.Open, _) => "ejected",
        (_, BreakerState.HalfOpen, _) => "trial",
        (_, _, true) => "warming",
        _ => "ok",
    };
}
