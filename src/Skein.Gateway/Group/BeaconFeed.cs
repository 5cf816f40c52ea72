using Skein.Membership;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;

namespace Skein.Gateway.Group;

/// <summary>
/// Hands the load beacons of replicas to admission. Polled: the gossip loop must never wait for the admission lock. One caller at a time.
/// </summary>
internal sealed class BeaconFeed(FleetTracker fleet, AdmissionQueue admission)
{
    /// <summary>Time between two polls: what it adds to a beacon's age. Beacons come ten times a second, and on change.</summary>
    public static readonly TimeSpan Period = TimeSpan.FromMilliseconds(20);

    private readonly List<RunningReport> _news = [];
    private Dictionary<ReplicaId, long> _taken = [];
    private FleetSnapshot? _seen;

    /// <summary>Takes over what came since the last poll.</summary>
    public void Poll(IMembership membership)
    {
        var now = fleet.Current;
        if (now != _seen)
        {
            _taken = now.Replicas.ToDictionary(replica => replica.Id, replica => _taken.GetValueOrDefault(replica.Id));
            _seen = now;
        }
        _news.Clear();
        foreach (var replica in now.Replicas)
        {
            if (!membership.TryGetBeacon(replica.Id.Name, out var beacon)
                || beacon.Generation != replica.Id.Generation
                || beacon.Sequence <= _taken[replica.Id])
                continue;
            _taken[replica.Id] = beacon.Sequence;
            _news.Add(new RunningReport(replica, beacon.InFlight, beacon.ReceivedAt));
        }
        if (_news.Count > 0)
            admission.Report(_news);
    }
}
