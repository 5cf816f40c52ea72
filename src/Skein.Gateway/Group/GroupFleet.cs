using System.Collections.Frozen;
using Skein.Gateway.Links;
using Skein.Membership;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Fleet;

namespace Skein.Gateway.Group;

/// <summary>
/// The members of the group as a fleet: the adapter between membership and routing, which do not know each other. Models and fingerprints
/// are the replicas' own answers to Describe, where they are known; gossip has the names that fit, and a digest. Thread-safe.
/// </summary>
internal sealed class GroupFleet : IFleetSource, IDescriptionBook
{
    private readonly Lock _gate = new();
    private readonly HashSet<string> _everOffered = new(StringComparer.Ordinal);
    private readonly Dictionary<ReplicaId, DescribedModels> _described = [];
    private MembershipSnapshot? _group;
    private volatile FleetView _current = FleetView.Empty;

    public event Action? Changed;

    public FleetView Current => _current;

    /// <summary>Whether there is a group and its seeds, if it has any, could be asked.</summary>
    public bool IsGathered { get; private set; }

    /// <summary>Takes in the newest snapshot. Called by one loop.</summary>
    public void Update(MembershipSnapshot snapshot)
    {
        lock (_gate)
        {
            _group = snapshot;
            Rebuild(snapshot);
        }
        Changed?.Invoke();
    }

    public void Learn(ReplicaDescription asked, DescribeResponse answer)
    {
        lock (_gate)
        {
            if (_group is null)
                return;
            _described[asked.Id] = DescribedModels.From(asked.ModelsDigest, answer);
            Rebuild(_group);
        }
        Changed?.Invoke();
    }

    private void Rebuild(MembershipSnapshot snapshot)
    {
        List<Member> replicas = [.. snapshot.Members.Where(member => member.Role == Roles.Replica)];
        List<ReplicaDescription> live = [.. replicas.Where(replica => replica.IsLive && IsAddress(replica.Metadata.Grpc)).Select(Describe)];
        foreach (var gone in _described.Keys.Except(live.Select(replica => replica.Id)).ToList())
            _described.Remove(gone);
        _everOffered.UnionWith(replicas.SelectMany(replica => replica.Metadata.Models));
        _everOffered.UnionWith(live.SelectMany(replica => replica.Models));
        // A group without any replica, dead or alive, is one still being gathered, and so is one with a replica that has not told its models:
        // nothing can be called unknown in it.
        IsGathered = snapshot.Seeds.IsEmpty || snapshot.Seeds.Any(seed => seed.Reached);
        var complete = replicas.Count > 0
            && IsGathered
            && live.TrueForAll(HasToldItsModels);
        _current = new FleetView(live, [.. _everOffered], complete);
    }

    private bool HasToldItsModels(ReplicaDescription replica) =>
        replica.Models.Count > 0 || replica.ModelsDigest == 0 || _described.ContainsKey(replica.Id);

    // What a member tells is input from outside: an address that is none must not reach a request.
    private static bool IsAddress(string address) =>
        Uri.TryCreate($"http://{address}", UriKind.Absolute, out var uri) && uri is { Port: > 0, AbsolutePath: "/", Query: "", UserInfo: "" };

    private ReplicaDescription Describe(Member replica)
    {
        var metadata = replica.Metadata;
        var id = new ReplicaId(replica.Name, replica.Generation);
        var digest = metadata.ModelsDigest ^ metadata.Fingerprint;
        var described = _described.TryGetValue(id, out var answer) && answer.Digest == digest ? answer : null;
        return new ReplicaDescription
        {
            Id = id,
            Address = metadata.Grpc,
            Models = described is null ? metadata.Models : described.Fingerprints.Keys,
            ModelsDigest = digest,
            Fingerprints = described?.Fingerprints ?? FrozenDictionary<string, string>.Empty,
            // A hostile or broken member must not poison the arithmetic of the pick.
            Slots = (int)Math.Clamp(metadata.Slots, 1, 1_000_000),
            Weight = metadata.Weight is > 0 and < 1e6f ? metadata.Weight : 1,
            Draining = metadata.Draining,
            HandOver = metadata.HandOver,
            Suspect = replica.State == MemberState.Suspect,
        };
    }
}
