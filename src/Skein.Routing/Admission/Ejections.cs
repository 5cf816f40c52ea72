using Skein.Routing.Fleet;
using Skein.Routing.Health;

namespace Skein.Routing.Admission;

/// <summary>A breaker opened, for the first time in a while, or closed.</summary>
/// <param name="Reason">The fault that opened it; null: it closed.</param>
/// <param name="IsSpared">It closed only because the fleet cannot spare the replica.</param>
internal readonly record struct BreakerChange(ReplicaId Replica, Fault? Reason, bool IsSpared = false);

/// <summary>
/// Opens breakers while every model can spare the replica. When one cannot, the replicas that were ejected longest serve again. Used under the admission lock.
/// </summary>
internal sealed class Ejections(LiveHealth health)
{
    /// <summary>Time after an opening in which another one is no change of state.</summary>
    private static readonly TimeSpan SameStateTime = TimeSpan.FromSeconds(10);

    private readonly List<BreakerChange> _changes = [];
    private long _openings;

    public IReadOnlyList<BreakerChange> TakeChanges()
    {
        if (_changes.Count == 0)
            return [];
        BreakerChange[] taken = [.. _changes];
        _changes.Clear();
        return taken;
    }

    public void Ended(Replica replica, int epoch, Fault? fault, FleetSnapshot fleet, TimeSpan now)
    {
        switch (replica.Breaker.End(epoch, fault, now))
        {
            case BreakerVerdict.ShouldOpen when CanSpare(replica, fleet):
                // Where too few replicas are left, it opens and closes again and again.
                if (replica.Breaker.OpenedAt is not { } before || now - before > SameStateTime)
                    _changes.Add(new BreakerChange(replica.Id, fault));
                replica.Breaker.Open(++_openings, now);
                SpareTheNeeded(fleet, now);
                break;
            case BreakerVerdict.Recovered:
                _changes.Add(new BreakerChange(replica.Id, Reason: null));
                replica.Failing.Clear();
                replica.SlowStart.Begin(now);
                break;
        }
    }

    /// <summary>Readmits the replicas that the fleet can no longer spare. Called after every change of the fleet.</summary>
    public void SpareTheNeeded(FleetSnapshot fleet, TimeSpan now)
    {
        if (!fleet.Replicas.Any(replica => replica.Breaker.IsEjected))
            return;
        foreach (var model in fleet.ServedModels)
        {
            var serving = fleet.Serving(model);
            while (LongestEjected(serving, out var ejected) is { } replica && ejected > MostEjected(serving))
            {
                replica.Breaker.Spare();
                _changes.Add(new BreakerChange(replica.Id, Reason: null, IsSpared: true));
                replica.SlowStart.Begin(now);
            }
        }
    }

    private bool CanSpare(Replica replica, FleetSnapshot fleet) => replica.Description.Models.All(model => MostEjected(fleet.Serving(model)) > 0);

    private int MostEjected(ReadOnlySpan<Replica> serving)
    {
        var open = 0;
        foreach (var replica in serving)
            open += replica.TakesWork ? 1 : 0;
        return Math.Max(0, Math.Min((int)(health.Current.Breaker.MaxEjectedShare * open), open - 1));
    }

    private static Replica? LongestEjected(ReadOnlySpan<Replica> serving, out int ejected)
    {
        ejected = 0;
        Replica? longest = null;
        foreach (var replica in serving)
        {
            if (!replica.TakesWork || !replica.Breaker.IsEjected)
                continue;
            ejected++;
            if (longest is null || replica.Breaker.Opening < longest.Breaker.Opening)
                longest = replica;
        }
        return longest;
    }
}

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
