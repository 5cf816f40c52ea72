using System.Collections.Frozen;
using Skein.Membership;
using Skein.Routing.Fleet;

namespace Skein.Gateway.Group;

/// <summary>
/// Adapts the members of the group to a fleet: membership and routing do not know each other. Models and fingerprints come from the replicas'
/// answers to Describe where they are known; gossip has a digest, and the names that fit. Thread-safe.
/// </summary>
internal sealed class GroupFleet : IFleetSource
{
    private readonly Lock _gate = new();
    private readonly OfferedModels _offered = new();
    private Dictionary<ReplicaId, KnownReplica> _known = [];
    private MembershipSnapshot? _group;
    private ulong _metadataVersions;
    private volatile FleetView _current = FleetView.Empty;

    public event Action? Changed;

    public FleetView Current => _current;

    /// <summary>True when there is a group, and a seed answered if there are any.</summary>
    public bool IsGathered { get; private set; }

    /// <summary>The members of the group; empty without one.</summary>
    public IReadOnlyList<Member> Members => _group?.Members ?? [];

    /// <summary>True while there is a group whose members are not known yet.</summary>
    public bool IsPending => _group is not null && !IsGathered;

    /// <summary>Uses the newest snapshot. Called by one loop.</summary>
    public void Update(MembershipSnapshot snapshot)
    {
        lock (_gate)
        {
            var before = _group;
            _group = snapshot;
            if (before is not null && HasSameFacts(before, snapshot))
                return;
            Rebuild(snapshot);
        }
        Changed?.Invoke();
    }

    /// <summary>Uses an answer to Describe.</summary>
    /// <param name="asked">What was known of the replica when it was asked.</param>
    /// <param name="answer">Input from outside: unchecked.</param>
    public void Learn(ReplicaDescription asked, DescribeResponse answer)
    {
        lock (_gate)
        {
            if (_group is null || !_known.TryGetValue(asked.Id, out var known))
                return;
            known.Answer = DescribedModels.From(asked.ModelsDigest, answer);
            Rebuild(_group);
        }
        Changed?.Invoke();
    }

    /// <summary>True when nothing but loads differs: those change many times a second.</summary>
    private static bool HasSameFacts(MembershipSnapshot before, MembershipSnapshot now)
    {
        if (before.Members.Length != now.Members.Length || IsReached(before) != IsReached(now))
            return false;
        for (var i = 0; i < now.Members.Length; i++)
        {
            Member was = before.Members[i], isNow = now.Members[i];
            if (!ReferenceEquals(was.Metadata, isNow.Metadata) || was.State != isNow.State || was.Generation != isNow.Generation || was.Name != isNow.Name)
                return false;
        }
        return true;
    }

    private static bool IsReached(MembershipSnapshot snapshot) => snapshot.Seeds.IsEmpty || snapshot.Seeds.Any(seed => seed.Reached);

    private void Rebuild(MembershipSnapshot snapshot)
    {
        List<Member> replicas = [.. snapshot.Members.Where(member => member.Role == Roles.Replica)];
        var before = _known;
        _known = [];
        var usable = replicas.Where(replica => replica.IsLive && IsAddress(replica.Metadata.Grpc));
        List<ReplicaDescription> live = [.. usable.Select(replica => Describe(replica, before))];
        _offered.Add(replicas.SelectMany(replica => replica.Metadata.Models).Concat(live.SelectMany(replica => replica.Models)));
        IsGathered = IsReached(snapshot);
        // No model is unknown while the group is still being gathered: it has no replica, dead or alive, or one whose models are not known.
        var complete = replicas.Count > 0 && IsGathered && live.TrueForAll(HasKnownModels);
        _current = new FleetView(live, _offered.Names, complete);
    }

    private bool HasKnownModels(ReplicaDescription replica) =>
        replica.Models.Count > 0 || replica.ModelsDigest == 0 || _known[replica.Id].Answer is not null;

    // Metadata is input from outside: a string that is not an address must not become part of a request.
    private static bool IsAddress(string address) =>
        Uri.TryCreate($"http://{address}", UriKind.Absolute, out var uri) && uri is { Port: > 0, AbsolutePath: "/", Query: "", UserInfo: "" };

    private ReplicaDescription Describe(Member replica, Dictionary<ReplicaId, KnownReplica> before)
    {
        var metadata = replica.Metadata;
        var id = new ReplicaId(replica.Name, replica.Generation);
        if (!before.TryGetValue(id, out var known))
            known = new KnownReplica();
        if (!ReferenceEquals(known.Metadata, metadata))
            (known.Metadata, known.MetadataVersion) = (metadata, ++_metadataVersions);
        _known[id] = known;
        var digest = metadata.ModelsDigest ^ metadata.Fingerprint;
        var answer = known.Answer?.Digest == digest ? known.Answer : null;
        return new ReplicaDescription
        {
            Id = id,
            Address = metadata.Grpc,
            Models = answer is null ? metadata.Models : answer.Fingerprints.Keys,
            ModelsDigest = digest,
            MetadataVersion = known.MetadataVersion,
            Fingerprints = answer?.Fingerprints ?? FrozenDictionary<string, string>.Empty,
            // A hostile or broken member must not make the arithmetic of a pick invalid.
            Slots = (int)Math.Clamp(metadata.Slots, 1, 1_000_000),
            Weight = metadata.Weight is > 0 and < 1e6f ? metadata.Weight : 1,
            Kind = answer?.Kind ?? "",
            Tier = answer?.Tier ?? "",
            Draining = metadata.Draining,
            HandOver = metadata.HandOver,
            Suspect = replica.State == MemberState.Suspect,
        };
    }

    /// <summary>What is known of one live generation of a replica.</summary>
    private sealed class KnownReplica
    {
        public MemberMetadata? Metadata { get; set; }

        public ulong MetadataVersion { get; set; }

        /// <summary>Its newest answer to Describe; null before the first.</summary>
        public DescribedModels? Answer { get; set; }
    }
}
