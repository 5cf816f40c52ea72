using Skein.Gateway.Group;
using Skein.Routing.Fleet;

namespace Skein.Gateway.Upstreams;

/// <summary>The group's replicas, and this gateway's own beside them. Without upstreams it is the group's fleet as it is. Thread-safe.</summary>
internal sealed class UpstreamFleet : IFleetSource, IUpstreams, IDisposable
{
    private readonly GroupFleet _group;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, ReplicaDescription?> _upstreams;
    private readonly HashSet<string> _neverSeen;
    private readonly OfferedModels _offered = new();
    private volatile FleetView _current = FleetView.Empty;

    public UpstreamFleet(GatewayOptions options, GroupFleet group)
    {
        _group = group;
        _upstreams = options.Upstreams.ToDictionary(name => name, ReplicaDescription? (_) => null, StringComparer.Ordinal);
        _neverSeen = new HashSet<string>(options.Upstreams, StringComparer.Ordinal);
        _group.Changed += Refresh;
        Refresh();
    }

    public event Action? Changed;

    public FleetView Current => _current;

    /// <summary>All upstreams by name; null: it serves nothing now.</summary>
    public IReadOnlyDictionary<string, ReplicaDescription?> Upstreams
    {
        get
        {
            lock (_gate)
                return new Dictionary<string, ReplicaDescription?>(_upstreams, StringComparer.Ordinal);
        }
    }

    public void Up(ReplicaDescription replica) => Set(replica.Id.Name, replica with { InProcess = true });

    public void Down(string name) => Set(name, replica: null);

    public void Dispose() => _group.Changed -= Refresh;

    private void Set(string name, ReplicaDescription? replica)
    {
        lock (_gate)
        {
            if (!_upstreams.ContainsKey(name))
                throw new ArgumentException($"'{name}' is no upstream; allowed: {string.Join(", ", _upstreams.Keys)}", nameof(name));
            _upstreams[name] = replica;
            if (replica is not null)
            {
                _neverSeen.Remove(name);
                _offered.Add(replica.Models);
            }
        }
        Refresh();
    }

    private void Refresh()
    {
        lock (_gate)
        {
            var group = _group.Current;
            _current = _upstreams.Count == 0 ? group : new FleetView(
                [.. group.Replicas, .. _upstreams.Values.OfType<ReplicaDescription>()],
                [.. group.KnownModels.Union(_offered.Names, StringComparer.Ordinal)],
                // With upstreams a group without replicas may stay so.
                Complete: _neverSeen.Count == 0 && (group.Complete || _group.IsGathered && group is { Replicas.Count: 0, KnownModels.Count: 0 }));
        }
        Changed?.Invoke();
    }
}
