using Skein.Routing.Fleet;

namespace Skein.Routing.Admission;

/// <summary>
/// Weights from measured speed: the inverse of a replica's time per token, relative to the mean of the replicas that serve the same models. One without enough
/// measurements counts as the mean. Used under the admission lock.
/// </summary>
internal sealed class MeasuredWeights
{
    private const double Most = 16;

    /// <summary>A smaller change is noise, and would move keys of prefix affinity.</summary>
    private const double LeastChange = 0.1;

    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    private TimeSpan _next;

    /// <summary>An attempt on a replica ended.</summary>
    public void Ended(Replica replica, FleetSnapshot fleet, TimeSpan now)
    {
        if (replica.Pace.TokenGap is { Ticks: > 0 } gap)
            replica.Speed.Add(replica.Leased + 1 + replica.ExternalLoad(now), gap);
        if (now < _next)
            return;
        _next = now + Period;
        foreach (var alike in fleet.Replicas.GroupBy(other => other.Description.Models, SameModels.Instance))
            Update([.. alike]);
    }

    /// <summary>Uses the configured weights from now on.</summary>
    public static void Clear(FleetSnapshot fleet)
    {
        foreach (var replica in fleet.Replicas)
            replica.MeasuredWeight = null;
    }

    private static void Update(Replica[] alike)
    {
        Replica[] known = [.. alike.Where(replica => replica.Speed.IsKnown)];
        if (known.Length == 0)
            return;
        var streams = known.Average(replica => replica.Speed.Streams);
        var mean = known.Average(replica => replica.Speed.SecondsPerTokenAt(streams));
        foreach (var replica in alike)
        {
            var weight = replica.Speed.IsKnown ? Math.Clamp(mean / replica.Speed.SecondsPerTokenAt(streams), 1 / Most, Most) : 1;
            if (replica.MeasuredWeight is not { } before || Math.Abs(weight - before) > LeastChange * before)
                replica.MeasuredWeight = weight;
        }
    }
}
