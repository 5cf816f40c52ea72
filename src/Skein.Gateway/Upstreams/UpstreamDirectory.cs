using Skein.Gateway.Admin;
using Skein.Gateway.Group;

namespace Skein.Gateway.Upstreams;

/// <summary>The members of the group and this gateway's upstreams, which are reported as replicas. Thread-safe; answers from memory.</summary>
internal sealed class UpstreamDirectory(GroupDirectory group, UpstreamFleet upstreams, FleetTracker fleet) : IMemberDirectory
{
    public IReadOnlyList<MemberStatus> Members
    {
        get
        {
            var health = group.Health();
            return
            [
                .. group.Members.Concat(upstreams.Upstreams.Select(upstream => StatusOf(upstream.Key, upstream.Value.Replica, upstream.Value.Reason, health)))
                    .OrderBy(member => member.Role, StringComparer.Ordinal).ThenBy(member => member.Name, StringComparer.Ordinal),
            ];
        }
    }

    // An upstream serves this gateway only: its leases are the whole load.
    private MemberStatus StatusOf(string name, ReplicaDescription? replica, string reason, IReadOnlyDictionary<ReplicaId, string> health)
    {
        var tracked = replica is null ? null : fleet.Current.Replicas.FirstOrDefault(candidate => candidate.Id == replica.Id);
        var state = tracked is null ? "dead" : tracked.Reachable ? "alive" : "suspect";
        var status = new MemberStatus { Name = name, Role = Roles.Replica, State = state, Http = name, Reason = reason };
        if (replica is null)
            return status;
        status.Generation = replica.Id.Generation;
        status.Models.Add(replica.Models);
        status.Slots = (uint)replica.Slots;
        status.Kind = replica.Kind;
        status.Tier = replica.Tier;
        status.InFlight = (uint)(tracked?.Leased ?? 0);
        status.Draining = tracked?.Draining ?? false;
        status.Health = health.GetValueOrDefault(replica.Id, "");
        return status;
    }
}
