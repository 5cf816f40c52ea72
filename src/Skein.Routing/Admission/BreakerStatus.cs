using Skein.Routing.Fleet;
using Skein.Routing.Health;

namespace Skein.Routing.Admission;

/// <summary>A replica's health as one gateway sees it.</summary>
/// <param name="Ejections">How often the breaker was opened in this generation of the replica.</param>
/// <param name="Reachable">False after its connection broke, until it answers again.</param>
/// <param name="Warming">Whether it is new or returned, and does not receive its full share yet.</param>
public readonly record struct BreakerStatus(ReplicaId Replica, BreakerState State, long Ejections, bool Reachable, bool Warming)
{
    /// <summary>The status in one word, the most serious first: <c>unreachable</c>, <c>ejected</c>, <c>trial</c>, <c>warming</c> or <c>ok</c>.</summary>
    public string Word => (Reachable, State, Warming) switch
    {
        (false, _, _) => "unreachable",
        (_, BreakerState.Open, _) => "ejected",
        (_, BreakerState.HalfOpen, _) => "trial",
        (_, _, true) => "warming",
        _ => "ok",
    };
}
