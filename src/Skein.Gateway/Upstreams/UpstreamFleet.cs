using Skein.Gateway.Group;

namespace Skein.Gateway.Upstreams;

/// <summary>The group's replicas and this gateway's upstreams. Without upstreams it is the group's fleet as it is. Thread-safe.</summary>
internal sealed class UpstreamFleet : IFleetSource, IDisposable
{
    /// <summary>Most models of one upstream that are remembered after its server stopped serving them.</summary>
    private const int MostModels = 1024;

    private readonly GroupFleet _group;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, UpstreamRow> _upstreams = new(StringComparer.Ordinal);
    private volatile FleetView _current = FleetView.Empty;

    public UpstreamFleet(GroupFleet group)
    {
        _group = group;
        _group.Changed += Refresh;
        Refresh();
    }

    public event Action? Changed;

    public FleetView Current => _current;

    /// <summary>All upstreams by name; null for one that does not serve now.</summary>
    public IReadOnlyDictionary<string, ReplicaDescription?> Upstreams
    {
        get
        {
            lock (_gate)
                return _upstreams.ToDictionary(row => row.Key, row => row.Value.Replica, StringComparer.Ordinal);
        }
    }

    /// <summary>Adds an upstream that does not serve yet.</summary>
    public void Add(string name) => Change(() => _upstreams.Add(name, new UpstreamRow()));

    public void Remove(string name) => Change(() => _upstreams.Remove(name));

    /// <summary>The upstream serves from now on.</summary>
    /// <param name="replica">The replica, without the state of its drain.</param>
    /// <param name="control">Reports the drain, which gossip reports for replicas of the group.</param>
    public void Up(ReplicaDescription replica, IReplicaControl control)
    {
        control.DrainChanged += Refresh;
        Change(() =>
        {
            var row = _upstreams[replica.Id.Name];
            (row.Replica, row.Control, row.IsSeen) = (replica, control, true);
            row.Models.UnionWith(replica.Models.Take(MostModels - row.Models.Count));
        });
    }

    /// <summary>The upstream gets no new work. Its running streams may end.</summary>
    public void Down(string name) => Change(() =>
    {
        var row = _upstreams[name];
        row.Control!.DrainChanged -= Refresh;
        row.Replica = null;
    });

    /// <summary>Whether another replica that takes new work serves one of the upstream's models.</summary>
    public bool HasPeer(ReplicaDescription replica) =>
        _current.Replicas.Any(other => other.Id != replica.Id && !other.Draining && other.Models.Intersect(replica.Models, StringComparer.Ordinal).Any());

    public void Dispose() => _group.Changed -= Refresh;

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
            var rows = _upstreams.Values;
            _current = rows.Count == 0 ? group : new FleetView(
                [.. group.Replicas, .. rows.Select(row => row.Current).OfType<ReplicaDescription>()],
                [.. group.KnownModels.Union(rows.SelectMany(row => row.Models), StringComparer.Ordinal)],
                // With upstreams, a group may never have replicas.
                Complete: rows.All(row => row.IsSeen)
                    && (group.Complete || (_group.IsGathered && group is { Replicas.Count: 0, KnownModels.Count: 0 })));
        }
        Changed?.Invoke();
    }

    private sealed class UpstreamRow
    {
        public ReplicaDescription? Replica { get; set; }

        public IReplicaControl? Control { get; set; }

        /// <summary>The replica with its drain as it is now.</summary>
        public ReplicaDescription? Current =>
            Control?.GraceLeft is { } graceLeft && Replica is not null
                ? Replica with { Draining = true, HandOver = graceLeft == TimeSpan.Zero }
                : Replica;

        /// <summary>Whether it has served since it was added.</summary>
        public bool IsSeen { get; set; }

        /// <summary>Models it has ever served.</summary>
        public HashSet<string> Models { get; } = new(StringComparer.Ordinal);
    }
}
