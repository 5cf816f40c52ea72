using Skein.Gateway.Admin;
using Skein.Gateway.Group;
using Skein.Gateway.Telemetry;

namespace Skein.Gateway.Upstreams;

/// <summary>What metrics read of the group and of this gateway's upstreams, which count as replicas. Thread-safe.</summary>
internal sealed class UpstreamVitals(GroupDirectory group, IMemberDirectory members, FleetTracker fleet) : IFleetVitals
{
    public IEnumerable<(string Model, int Waiters)> Queues() => group.Queues();

    public IEnumerable<(string Role, string State, int Count)> Members() =>
        members.Members.GroupBy(member => (member.Role, member.State)).Select(same => (same.Key.Role, same.Key.State, same.Count()));

    public IEnumerable<(string Cause, long Count)> Dropped() => group.Dropped();

    public IEnumerable<(string Replica, int Level, long Ejections)> Breakers() =>
        group.Breakers().GroupBy(breaker => breaker.Replica).Select(same => (same.Key, same.Max(one => one.Level), same.Sum(one => one.Ejections)));

    public IEnumerable<(string Replica, double Share)> KvUsed() =>
        fleet.Current.Replicas.Where(replica => replica is { Reachable: true, KvUsed: not null }).GroupBy(replica => replica.Id.Name, StringComparer.Ordinal)
            .Select(same => (same.Key, same.Max(replica => replica.KvUsed!.Value)));

    // An upstream that is being replaced has two generations for a while.
    public IEnumerable<(string Replica, int Slots, int Leased, bool Draining)> Replicas() =>
        fleet.Current.Replicas.Where(replica => replica.Reachable).GroupBy(replica => replica.Id.Name, StringComparer.Ordinal)
            .Select(same => (same.Key, same.Max(replica => replica.Slots), same.Sum(replica => replica.Leased), same.All(replica => replica.Draining)));
}
