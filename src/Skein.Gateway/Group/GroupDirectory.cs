using Google.Protobuf;
using Skein.Gateway.Admin;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Group;

/// <summary>The group, the fleet and the queue as operators, clients and metrics see them. Thread-safe; answers from memory.</summary>
internal sealed class GroupDirectory(
    FleetTracker fleet, AdmissionQueue admission, RoutingStatistics statistics, TimeProvider time, ConfigurationState? configuration = null)
    : IMemberDirectory, IModelCatalog
{
    /// <summary>Past it, first times of models that are not served now are forgotten.</summary>
    private const int MostFirstTimes = OfferedModels.MostNames;

    private readonly Dictionary<string, DateTimeOffset> _firstSeen = new(StringComparer.Ordinal);
    private static readonly DropCause[] Causes = [.. Enum.GetValues<DropCause>().Where(static cause => cause != DropCause.None)];
    private volatile MembershipSnapshot? _group;
    private volatile IMembership? _membership;

    public IReadOnlyList<MemberStatus> Members
    {
        get
        {
            var health = Health();
            var ordered = Group.OrderBy(member => member.Role, StringComparer.Ordinal).ThenBy(member => member.Name, StringComparer.Ordinal);
            return [.. ordered.Select(member => StatusOf(member, health))];
        }
    }

    /// <summary>The state of each live replica as this gateway sees it, in a word.</summary>
    public IReadOnlyDictionary<ReplicaId, string> Health() => admission.Breakers().ToDictionary(status => status.Replica, status => status.Word);

    private IEnumerable<Member> Group => _group?.Members ?? [];

    public void Update(MembershipSnapshot group) => _group = group;

    /// <summary>Takes beacons and counts of dropped packets from this membership from now on.</summary>
    public void Follow(IMembership membership) => _membership = membership;

    public IReadOnlyList<ServedModel> List()
    {
        lock (_firstSeen)
        {
            var current = fleet.Current;
            var served = current.ServedModels;
            if (_firstSeen.Count + served.Count > MostFirstTimes)
            {
                foreach (var gone in _firstSeen.Keys.Except(served).ToList())
                    _firstSeen.Remove(gone);
            }
            var models = new List<ServedModel>();
            foreach (var name in served.Order(StringComparer.Ordinal))
            {
                if (!_firstSeen.TryGetValue(name, out var firstSeen))
                    _firstSeen[name] = firstSeen = time.GetUtcNow();
                models.Add(new ServedModel(DescriptionOf(current, name), firstSeen));
            }
            return models;
        }
    }

    /// <summary>
    /// The model as its replicas describe it together: what the first one says that says anything, the shortest context and the best tier.
    /// </summary>
    private static ModelDescription DescriptionOf(FleetSnapshot current, string model)
    {
        var together = new ModelDescription { Name = model };
        foreach (var replica in current.Serving(model))
        {
            if (!replica.Description.ModelDescriptions.TryGetValue(model, out var said))
                continue;
            if (together.Metadata.IsEmpty)
                together.Metadata = said.Metadata;
            if (said.ContextTokens > 0 && (together.ContextTokens == 0 || said.ContextTokens < together.ContextTokens))
                together.ContextTokens = said.ContextTokens;
            if (said.ResumeTier > together.ResumeTier)
                (together.ResumeTier, together.Unit) = (said.ResumeTier, said.Unit);
            together.Chat |= said.Chat;
            together.NoGeneration = said.NoGeneration;
        }
        return together;
    }

    public LoadReport Load()
    {
        var live = fleet.Current.Replicas.Where(replica => replica.Reachable).ToList();
        return new LoadReport
        {
            Slots = (uint)live.Sum(replica => replica.Slots), Running = (uint)live.Sum(replica => replica.Leased), Waiting = (uint)admission.Waiting,
        };
    }

    public IEnumerable<(string Model, int Waiters)> Queues() => fleet.Current.KnownModels.Select(model => (model, admission.WaitingFor(model)));

    public IEnumerable<(string Cause, long Count)> Dropped() => Causes.Select(cause => (WordFor(cause), _membership?.CountDropped(cause) ?? 0));

    public IEnumerable<(string Replica, int Level, long Ejections)> Breakers() =>
        admission.Breakers().Select(breaker => (breaker.Replica.Name, (int)breaker.State, breaker.Ejections));

    private MemberStatus StatusOf(Member member, IReadOnlyDictionary<ReplicaId, string> health)
    {
        var metadata = member.Metadata;
        (var inFlight, var queued) = LoadOf(member);
        var replica = ReplicaOf(member);
        return new MemberStatus
        {
            Name = member.Name,
            Role = member.Role,
            State = WordFor(member.State),
            Generation = member.Generation,
            Version = metadata.Version,
            Revision = metadata.Revision,
            Pid = metadata.Pid,
            Http = metadata.Http,
            Grpc = metadata.Grpc,
            Gossip = member.Gossip.ToString(),
            Models = { replica?.Description.Models ?? metadata.Models },
            Slots = replica is null ? metadata.Slots : (uint)replica.Slots,
            InFlight = (uint)inFlight,
            Queued = (uint)queued,
            Draining = metadata.Draining,
            Health = replica?.Description.Problem.Length > 0 ? "refusing" : health.GetValueOrDefault(new ReplicaId(member.Name, member.Generation), ""),
            Kind = replica?.Description.Kind ?? "",
            Tier = replica?.Description.Tier ?? "",
            Reason = member.IsSelf && configuration?.Problem is { } problem ? $"configuration refused: {problem}" : ReasonOf(replica?.Description),
        };
    }

    private static string ReasonOf(ReplicaDescription? replica) => replica is null ? "" : replica.Problem.Length > 0 ? replica.Problem : replica.TierReason;

    /// <summary>Its row in the fleet, which knows model names that do not fit into gossip and the newest number of slots; null for dead members.</summary>
    private Replica? ReplicaOf(Member member) =>
        fleet.Current.Replicas.FirstOrDefault(replica => replica.Id == new ReplicaId(member.Name, member.Generation));

    /// <summary>The newest load: this process's own, else the member's beacon, else its gossip. Zero for dead members.</summary>
    private (int InFlight, int Queued) LoadOf(Member member)
    {
        if (member.IsSelf)
            return (statistics.Sessions, admission.Waiting);
        if (!member.IsLive)
            return (0, 0);
        return _membership is { } membership && membership.TryGetBeacon(member.Name, out var beacon)
            ? (beacon.InFlight, beacon.Queued)
            : (member.InFlight ?? 0, member.Queued ?? 0);
    }

    /// <summary>The name of a cause or a state in reports and metrics, such as <c>seal_missing</c>.</summary>
    private static string WordFor<T>(T value)
        where T : struct, Enum => JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString());
}
