using System.Collections.Frozen;
using Google.Protobuf;

namespace Skein.Gateway.Group;

/// <summary>
/// Adapts the members of the group to a fleet: membership and routing do not know each other. Models and fingerprints come from the replicas'
/// answers to Describe where they are known; gossip has a digest, and the names that fit. Thread-safe.
/// </summary>
internal sealed class GroupFleet : IFleetSource
{
    private const int MostModels = 1024;
    private const int MostNameBytes = 256;
    private const int MostFingerprintChars = 256;
    private const int MostKindChars = 32;
    private const int MostReasonChars = 512;
    private const string LinkKeyRefused = "it refuses the link key of this gateway; allowed: a key of its --link-key-file";

    /// <summary>Most bytes that are kept of what a replica's server says of its models, all together.</summary>
    private const int MostMetadataBytes = 1 << 20;

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
            (known.AnswerDigest, known.Answer, known.Problem) = (asked.ModelsDigest, DescribedModels.From(answer), "");
            Rebuild(_group);
        }
        Changed?.Invoke();
    }

    /// <summary>The replica refuses this gateway. What it served before is not served any more, until it answers.</summary>
    public void Refused(ReplicaDescription asked)
    {
        lock (_gate)
        {
            if (_group is null || !_known.TryGetValue(asked.Id, out var known) || known.Problem.Length > 0)
                return;
            known.Problem = LinkKeyRefused;
            Rebuild(_group);
        }
        Changed?.Invoke();
    }

    /// <summary>True when nothing but loads differs: those change many times a second.</summary>
    private static bool HasSameFacts(MembershipSnapshot before, MembershipSnapshot now) =>
        before.Members.Length == now.Members.Length && IsReached(before) == IsReached(now)
        && before.Members.Zip(now.Members).All(pair =>
            ReferenceEquals(pair.First.Metadata, pair.Second.Metadata)
            && (pair.First.State, pair.First.Generation, pair.First.Name) == (pair.Second.State, pair.Second.Generation, pair.Second.Name));

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
        // A model is unknown only if the list is complete: the group was gathered, has a replica, and the models of every live replica are known.
        var complete = replicas.Count > 0 && IsGathered && live.TrueForAll(HasKnownModels);
        _current = new FleetView(live, _offered.Names, complete) { Troubles = TroublesOf(live, live.Count == replicas.Count) };
    }

    /// <param name="isAll">Whether no other replica may come back.</param>
    private List<FleetTrouble> TroublesOf(List<ReplicaDescription> live, bool isAll)
    {
        var isFinal = isAll && live.TrueForAll(replica => replica.Problem.Length > 0);
        return
        [
            .. live.Where(replica => replica.Problem.Length > 0).Select(replica => new FleetTrouble(
                _known[replica.Id].Metadata is { Models.Count: > 0 } metadata ? [.. metadata.Models] : null,
                $"a replica serves nothing: {replica.Problem}", isFinal)),
        ];
    }

    /// <summary>How well a lost answer of the best of some models can be resumed, in a word; empty without models.</summary>
    public static string BestTier(IEnumerable<ModelDescription> models) => models.Select(model => model.ResumeTier).DefaultIfEmpty().Max() switch
    {
        ResumeTier.Exact => "exact",
        ResumeTier.Tokens => "tokens",
        ResumeTier.Text => "text",
        ResumeTier.None => "none",
        _ => "",
    };

    /// <summary>Why lost answers of some kinds of the first model that has such kinds are made again; empty if there is none.</summary>
    public static string ReasonOf(IEnumerable<ModelDescription> models) =>
        models.Select(model => model.ResumeReason).FirstOrDefault(reason => reason.Length > 0) ?? "";

    private static bool IsPrintable(string text, int most) => text.Length <= most && !text.AsSpan().ContainsAnyExceptInRange(' ', '~');

    private bool HasKnownModels(ReplicaDescription replica) =>
        
        replica.Models.Count > 0 || replica.ModelsDigest == 0 || _known[replica.Id].Answer is not null
        || (replica.Problem.Length > 0 && _known[replica.Id].Metadata is { Models.Count: > 0 });

    // Metadata is input from outside: a string that is not an address must not become part of a request.
    internal static bool IsAddress(string address) =>
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
        var answer = known.AnswerDigest == digest ? known.Answer : null;
        return new ReplicaDescription
        {
            Id = id,
            Address = metadata.Tls ? $"https://{metadata.Grpc}" : metadata.Grpc,
            Models = known.Problem.Length > 0 ? [] : answer is null ? metadata.Models : answer.Fingerprints.Keys,
            ModelsDigest = digest,
            MetadataVersion = known.MetadataVersion,
            Fingerprints = answer?.Fingerprints ?? FrozenDictionary<string, string>.Empty,
            ModelDescriptions = answer?.Descriptions ?? FrozenDictionary<string, ModelDescription>.Empty,
            // A hostile or broken member must not make the arithmetic of a pick invalid.
            Slots = (int)Math.Clamp(metadata.Slots, 1, 1_000_000),
            Weight = metadata.Weight is > 0 and < 1e6f ? metadata.Weight : 1,
            KvUsed = Math.Min(metadata.KvEighths, 8) / 8.0,
            Kind = answer?.Kind ?? "",
            Tier = answer?.Tier ?? "",
            TierReason = answer?.TierReason ?? "",
            Problem = known.Problem,
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

        /// <summary>Digest of its models in gossip when it was last asked: under another digest the answer is out of date.</summary>
        public ulong AnswerDigest { get; set; }

        /// <summary>Its newest answer to Describe; null before the first one.</summary>
        public DescribedModels? Answer { get; set; }

        /// <summary>See <see cref="ReplicaDescription.Problem"/>.</summary>
        public string Problem { get; set; } = "";
    }

    /// <summary>The answer of one generation of a replica to Describe. Immutable.</summary>
    /// <param name="Fingerprints">Fingerprint of each model it serves; empty if the model has none.</param>
    /// <param name="Descriptions">See <see cref="ReplicaDescription.ModelDescriptions"/>.</param>
    /// <param name="Kind">Kind of its engine; empty if it is not printable ASCII of a sensible length.</param>
    /// <param name="Tier">See <see cref="ReplicaDescription.Tier"/>.</param>
    /// <param name="TierReason">See <see cref="ReplicaDescription.TierReason"/>; empty if it is not printable ASCII of a sensible length.</param>
    private sealed record DescribedModels(
        FrozenDictionary<string, string> Fingerprints, FrozenDictionary<string, ModelDescription> Descriptions, string Kind, string Tier,
        string TierReason)
    {
        /// <summary>Keeps the valid parts of an answer: it is input from outside.</summary>
        public static DescribedModels From(DescribeResponse answer)
        {
            List<ModelDescription> models =
            [
                .. answer.Models
                    .Where(model => model.Name.Length > 0 && Encoding.UTF8.GetByteCount(model.Name) <= MostNameBytes)
                    .Where(model => model.Fingerprint.Length <= MostFingerprintChars)
                    .DistinctBy(model => model.Name, StringComparer.Ordinal)
                    .Take(MostModels),
            ];
            var bytes = 0;
            foreach (var model in models)
            {
                // One that does not fit is left out, and what follows may fit.
                if ((bytes += model.Metadata.Length) > MostMetadataBytes)
                    (bytes, model.Metadata) = (bytes - model.Metadata.Length, ByteString.Empty);
            }
            return new DescribedModels(
                models.ToFrozenDictionary(model => model.Name, model => model.Fingerprint, StringComparer.Ordinal),
                models.ToFrozenDictionary(model => model.Name, StringComparer.Ordinal),
                IsPrintable(answer.Engine, MostKindChars) ? answer.Engine : "",
                BestTier(answer.Models),
                ReasonOf(answer.Models) is var reason && IsPrintable(reason, MostReasonChars) ? reason : "");
        }
    }
}
