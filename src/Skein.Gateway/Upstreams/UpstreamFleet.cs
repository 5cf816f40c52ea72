using Google.Protobuf;
using Skein.Gateway.Group;

namespace Skein.Gateway.Upstreams;

/// <summary>The group's replicas and this gateway's upstreams. Without upstreams it is the group's fleet as it is. Thread-safe.</summary>
internal sealed class UpstreamFleet : IFleetSource, IDisposable
{
    private readonly GroupFleet _group;
    private readonly TimeProvider _time;
    private readonly long _origin;
    private readonly Lock _gate = new();
    private readonly List<UpstreamRow> _rows = [];
    private readonly HashSet<ReplicaId> _leaving = [];
    private volatile FleetView _current = FleetView.Empty;
    private ulong _generation;

    public UpstreamFleet(GroupFleet group, TimeProvider time)
    {
        (_group, _time, _origin) = (group, time, time.GetTimestamp());
        _group.Changed += OnGroupChanged;
        Refresh();
    }

    public event Action? Changed;

    public FleetView Current => _current;

    private TimeSpan Now => _time.GetElapsedTime(_origin);

    private IEnumerable<UpstreamRow> SharedRows => _rows.Where(row => row is { Control: not null, Replica: not null, Url: not null });

    /// <summary>Addresses of the servers of the upstreams that do not leave.</summary>
    public IReadOnlyList<Uri> Urls
    {
        get
        {
            lock (_gate)
                return [.. _rows.Where(row => !row.IsLeaving).Select(row => row.Url).OfType<Uri>()];
        }
    }

    /// <summary>
    /// All upstreams by name; one that does not serve now has no replica. The reason says why it does not serve, fails, or does not continue lost answers.
    /// </summary>
    public IReadOnlyDictionary<string, (ReplicaDescription? Replica, string Reason)> Upstreams
    {
        get
        {
            lock (_gate)
            {
                // Of two with one name, the one that is not leaving.
                return _rows.OrderBy(row => row.IsLeaving).DistinctBy(row => row.Name, StringComparer.Ordinal)
                    .ToDictionary(row => row.Name, row => (row.Current, row.Reason), StringComparer.Ordinal);
            }
        }
    }

    /// <summary>Adds an upstream that does not serve yet.</summary>
    /// <param name="name">Only upstreams that leave may have it too.</param>
    /// <param name="label">Its name for clients.</param>
    /// <param name="models">Models that it is meant to serve; empty: any.</param>
    /// <param name="url">Address of its server; null: it is not shared with other gateways.</param>
    public UpstreamRow Add(string name, string label, IReadOnlyList<string> models, Uri? url = null)
    {
        var row = new UpstreamRow { Name = name, Label = label, Expected = models, Url = url };
        Change(() => _rows.Add(row));
        return row;
    }

    public void Remove(UpstreamRow row) => Change(() => _rows.Remove(row));

    /// <summary>The upstream is being removed: its name may be used again.</summary>
    public void Leave(UpstreamRow row) => Change(() => row.IsLeaving = true);

    /// <summary>A generation that no upstream had before.</summary>
    public ulong NextGeneration()
    {
        lock (_gate)
            return _generation = Math.Max(_generation + 1, (ulong)_time.GetUtcNow().ToUnixTimeMilliseconds());
    }

    /// <summary>The upstream serves from now on.</summary>
    /// <param name="replica">The replica, without the state of its drain.</param>
    /// <param name="control">Reports the drain, which gossip reports for replicas of the group.</param>
    /// <param name="keyRefusal">The refusal of the gateway's key by the last request, if it was refused. Default (null): no key is refused.</param>
    public void Up(UpstreamRow row, ReplicaDescription replica, IReplicaControl control, Func<FaultException?>? keyRefusal = null)
    {
        control.DrainChanged += Refresh;
        control.SlotsChanged += Refresh;
        Change(() =>
        {
            (row.Control, row.KeyRefusal) = (control, keyRefusal);
            row.Serve(replica);
        });
        Share();
    }

    /// <summary>The upstream serves other models than before, or describes them otherwise.</summary>
    public void Update(UpstreamRow row, ReplicaDescription replica) => Change(() => row.Serve(replica));

    /// <summary>The upstream does not serve, for a reason that is new.</summary>
    public void Failed(UpstreamRow row, UpstreamProblem problem) => Change(() => row.Problem = problem);

    /// <summary>The upstream gets no new work. Its running streams may end.</summary>
    public void Down(UpstreamRow row) => Change(() =>
    {
        row.Control!.DrainChanged -= Refresh;
        row.Control.SlotsChanged -= Refresh;
        if (row.Replica is { } replica)
            _leaving.Remove(replica.Id);
        row.Replica = null;
    });

    /// <summary>
    /// Lets an upstream leave for lack of answers, if another replica that takes new work serves one of its models. Of several that ask at the same time, one
    /// stays. <see cref="Down"/> must follow.
    /// </summary>
    public bool TryLeave(ReplicaId id)
    {
        lock (_gate)
        {
            var replicas = _current.Replicas;
            var models = replicas.FirstOrDefault(replica => replica.Id == id)?.Models ?? [];
            var hasPeer = replicas.Any(other =>
                other.Id != id && !other.Draining && !_leaving.Contains(other.Id) && other.Models.Intersect(models, StringComparer.Ordinal).Any());
            return hasPeer && _leaving.Add(id);
        }
    }

    public void Dispose() => _group.Changed -= OnGroupChanged;

    private void OnGroupChanged()
    {
        Share();
        Refresh();
    }

    /// <summary>Takes this gateway's share of each server that other gateways of the group serve too.</summary>
    private void Share()
    {
        var members = _group.Members;
        List<(UpstreamRow Row, int Count, int Rank)> shares = [];
        lock (_gate)
        {
            foreach (var row in SharedRows)
            {
                foreach (var turn in UpstreamSharing.TurnsOf(row.Url!, members))
                    row.Turns.Learn(turn, Now);
                (var count, var rank) = UpstreamSharing.ShareOf(row.Url!, members);
                shares.Add((row, count, row.Turns.RankOf(count, rank, row.Control!.EngineSlots)));
            }
        }
        // Outside the lock: a changed share raises an event.
        foreach ((var row, var count, var rank) in shares)
            row.Control?.SetShare(count, rank);
    }

    /// <summary>Passes the slots of servers that have fewer of them than gateways share them, where another gateway waits. Called by one loop.</summary>
    /// <param name="isWaiting">Whether a gateway has waiting requests.</param>
    /// <param name="isScarce">Whether there is such a server.</param>
    /// <returns>The turns to publish; null: none has changed.</returns>
    public ByteString? PassTurns(Predicate<Member> isWaiting, out bool isScarce)
    {
        isScarce = false;
        var members = _group.Members;
        var gateways = members.Count(member => member is { IsLive: true, Role: Roles.Gateway });
        if (gateways < 2)
            return null;
        var hasChanged = false;
        List<(Uri Url, uint Turn)> turns = [];
        lock (_gate)
        {
            foreach (var row in SharedRows)
            {
                var slots = row.Control!.EngineSlots;
                if (slots >= gateways)
                    continue;
                (var count, var rank) = UpstreamSharing.ShareOf(row.Url!, members);
                if (slots >= count)
                    continue;
                var othersWait = members.Any(member => member is { IsLive: true, IsSelf: false, Role: Roles.Gateway } && isWaiting(member));
                hasChanged |= row.Turns.TryPass(count, rank, slots, (int)row.Control.Report().Running, othersWait, Now);
                turns.Add((row.Url!, row.Turns.Turn));
            }
        }
        // Also without a change of the turns: a slot that is to be passed gets no new request.
        isScarce = turns.Count > 0;
        if (isScarce)
            Share();
        return hasChanged ? UpstreamSharing.WriteTurns(turns) : null;
    }

    private void Change(Action change)
    {
        lock (_gate)
            change();
        Refresh();
    }

    private void Refresh()
    {
        lock (_gate)
        {
            var group = _group.Current;
            List<UpstreamRow> rows = [.. _rows.Where(row => !row.IsLeaving)];
            _current = _rows.Count == 0 ? group : new FleetView(
                [.. group.Replicas, .. _rows.Select(row => row.Current).OfType<ReplicaDescription>()],
                [.. group.KnownModels.Union(_rows.SelectMany(row => row.Models.Concat(row.Expected)), StringComparer.Ordinal)],
                // With upstreams, a group may never have replicas.
                Complete: rows.All(row => row.IsSeen || row.Expected.Count > 0)
                    && (group.Complete || (_group.IsGathered && group is { Replicas.Count: 0, KnownModels.Count: 0 })))
            {
                Troubles =
                [
                    .. rows.Where(row => row.Replica is null).Select(row => row.Trouble),
                    .. group.Troubles,
                    // The group's replicas may serve what they ever offered, and anything until they are known.
                    .. _group.IsPending ? [new FleetTrouble(null, "", IsFinal: false)] : Array.Empty<FleetTrouble>(),
                    .. group.KnownModels.Count > 0 ? [new FleetTrouble(group.KnownModels, "", IsFinal: false)] : Array.Empty<FleetTrouble>(),
                ],
            };
        }
        Changed?.Invoke();
    }
}
