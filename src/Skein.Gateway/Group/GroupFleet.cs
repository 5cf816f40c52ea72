using Skein.Membership;
using Skein.Protocol;
using Skein.Routing.Fleet;

namespace Skein.Gateway.Group;

/// <summary>The members of the group as a fleet: the adapter between membership and routing, which do not know each other. Thread-safe.</summary>
internal sealed class GroupFleet : IFleetSource
{
    private readonly HashSet<string> _everOffered = new(StringComparer.Ordinal);
    private volatile FleetView _current = FleetView.Empty;

    public event Action? Changed;

    public FleetView Current => _current;

    /// <summary>Whether there is a group and its seeds, if it has any, could be asked.</summary>
    public bool IsGathered { get; private set; }

    /// <summary>Takes in the newest snapshot. Called by one loop.</summary>
    public void Update(MembershipSnapshot snapshot)
    {
        List<Member> replicas = [.. snapshot.Members.Where(member => member.Role == Roles.Replica)];
        _everOffered.UnionWith(replicas.SelectMany(replica => replica.Metadata.Models));
        IsGathered = snapshot.Seeds.IsEmpty || snapshot.Seeds.Any(seed => seed.Reached);
        // A group without any replica, dead or alive, is one still being gathered: nothing can be called unknown in it.
        bool complete = replicas.Count > 0 && IsGathered;
        _current = new FleetView([.. replicas.Where(replica => replica.IsLive && IsAddress(replica.Metadata.Grpc)).Select(Describe)], [.. _everOffered], complete);
        Changed?.Invoke();
    }

    // What a member tells is input from outside: an address that is none must not reach a request.
    private static bool IsAddress(string address) =>
        Uri.TryCreate($"http://{address}", UriKind.Absolute, out Uri? uri) && uri is { Port: > 0, AbsolutePath: "/", Query: "", UserInfo: "" };

    private static ReplicaDescription Describe(Member replica) => new()
    {
        Id = new ReplicaId(replica.Name, replica.Generation),
        Address = replica.Metadata.Grpc,
        Models = replica.Metadata.Models,
        // A hostile or broken member must not poison the arithmetic of the pick.
        Slots = (int)Math.Clamp(replica.Metadata.Slots, 1, 1_000_000),
        Weight = replica.Metadata.Weight is > 0 and < 1e6f ? replica.Metadata.Weight : 1,
        Draining = replica.Metadata.Draining,
        Suspect = replica.State == MemberState.Suspect,
    };
}
