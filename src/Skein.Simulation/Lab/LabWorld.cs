using Skein.Routing.Admission;
using Skein.Routing.Balancing;

namespace Skein.Simulation.Lab;

/// <summary>Gateways with production's routing code, unchanged, in front of simulated replicas, in virtual time.</summary>
internal sealed class LabWorld : IFleetSource, IDisposable
{
    private static readonly TimeSpan BeaconInterval = TimeSpan.FromMilliseconds(100);

    private readonly Dictionary<string, LabReplica> _replicasByName;
    private readonly Dictionary<string, LabRequest> _requests = new(StringComparer.Ordinal);
    private readonly LabGateway[] _gateways;
    private readonly Beacon[] _beacons;

    public LabWorld(TraceLabSettings settings, string policy)
    {
        Replicas = [.. Enumerable.Range(0, settings.Replicas).Select(i => new LabReplica(i, settings.ModelOf(i), settings.WeightOf(i), Time))];
        _replicasByName = Replicas.ToDictionary(replica => replica.Name, StringComparer.Ordinal);
        _beacons = [.. Replicas.Select(replica => new Beacon(this, replica))];
        Figures = new LabFigures(Replicas);
        Publish();
        var policies = new BalancingPolicies(
        [
            .. BalancingPolicies.BuiltIn, new OraclePolicy(this), new PlainPrefixHashing(),
            new CacheOracle(this, isBounded: false), new CacheOracle(this, isBounded: true),
        ]);
        var admission = new AdmissionOptions
        {
            Policy = policy, QueueLength = settings.QueueLength, QueueTimeout = settings.QueueTimeout, MeasuredWeights = settings.MeasuredWeights,
        };
        UsesPrefixes = policies.Get(policy).UsesPrefixes;
        IsOracle = policy is OraclePolicy.PolicyName or CacheOracle.PolicyName or CacheOracle.BoundedPolicyName;
        _gateways =
        [
            .. Enumerable.Range(0, settings.Gateways).Select(i => new LabGateway(
                string.Create(CultureInfo.InvariantCulture, $"gateway-{i + 1}"), this, admission, policies, SeededRandomSource.Mix(settings.Seed + (ulong)i))),
        ];
    }

    public event Action? Changed;

    public VirtualTime Time { get; } = new();

    public TimeSpan Now => TimeSpan.FromTicks(Time.GetTimestamp());

    public IReadOnlyList<LabReplica> Replicas { get; }

    public IReadOnlyList<LabGateway> Gateways => _gateways;

    public LabFigures Figures { get; }

    public bool UsesPrefixes { get; }

    /// <summary>The policy knows each request by its session key.</summary>
    public bool IsOracle { get; }

    public FleetView Current { get; private set; } = FleetView.Empty;

    public LabReplica ReplicaOf(string name) => _replicasByName[name];

    public LabRequest RequestOf(string id) => _requests[id];

    public void Add(string id, LabRequest request) => _requests[id] = request;

    public void Remove(string id) => _requests.Remove(id);

    public void Publish()
    {
        Current = new FleetView([.. Replicas.Where(replica => replica.IsUp).Select(replica => replica.Description)], [LabReplica.Model], Complete: true);
        Changed?.Invoke();
    }

    public void After(TimeSpan delay, Action action) => Time.CreateTimer(_ => action(), null, delay, Timeout.InfiniteTimeSpan);

    /// <summary>Exact, unlike <see cref="Task.Delay(TimeSpan, TimeProvider)"/>, which knows only whole milliseconds.</summary>
    public Task DelayAsync(TimeSpan delay)
    {
        var over = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        After(delay, over.SetResult);
        return over.Task;
    }

    public void Started(LabReplica replica, LabRequest request)
    {
        Figures.Started(replica, request, Now);
        LoadChanged(replica);
    }

    /// <summary>Several gateways learn of each other's load by beacons.</summary>
    public void LoadChanged(LabReplica replica)
    {
        if (_gateways.Length > 1)
            _beacons[replica.Index].LoadChanged();
    }

    public void Dispose()
    {
        foreach (var gateway in _gateways)
            gateway.Dispose();
        foreach (var replica in Replicas)
            replica.Dispose();
    }

    /// <summary>As membership does: at once after a large change, else ten times a second.</summary>
    private sealed class Beacon(LabWorld world, LabReplica replica)
    {
        private int _told;
        private TimeSpan _toldAt;
        private bool _isPending;

        public void LoadChanged()
        {
            var running = replica.Slots.Running;
            var matters = Math.Abs(running - _told) * 10 >= Math.Max(10, _told);
            if (matters || world.Now - _toldAt >= BeaconInterval)
            {
                Tell();
            }
            else if (!_isPending)
            {
                _isPending = true;
                world.After(_toldAt + BeaconInterval - world.Now, () =>
                {
                    _isPending = false;
                    Tell();
                });
            }
        }

        private void Tell()
        {
            (_told, _toldAt) = (replica.Slots.Running, world.Now);
            var running = _told;
            world.After(LabLink.OneWay, () =>
            {
                foreach (var gateway in world._gateways)
                    gateway.Receive(replica, running);
            });
        }
    }
}
