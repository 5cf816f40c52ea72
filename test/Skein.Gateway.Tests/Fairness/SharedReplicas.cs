using System.Globalization;
using Microsoft.Extensions.Time.Testing;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Serving;
using Skein.Routing;
using Skein.Routing.Admission;
using Skein.Routing.Balancing;
using Skein.Routing.Fleet;
using Skein.Routing.Health;
using RoutedReplica = Skein.Routing.Fleet.Replica;

namespace Skein.Gateway.Tests.Fairness;

/// <summary>A request: when it arrives, at which gateway, and how long it runs.</summary>
internal sealed record Visit(TimeSpan At, int Gateway, TimeSpan Hold)
{
    /// <summary>How often its client was refused before.</summary>
    public int Returns { get; init; }
}

/// <summary>The outcome of a request.</summary>
internal sealed record Served(Visit Visit, TimeSpan StartedAt)
{
    public TimeSpan EndedAt => StartedAt + Visit.Hold;

    public TimeSpan Waited => StartedAt - Visit.At;
}

/// <summary>
/// The queues of several gateways for the slots of the same replicas, in virtual time: the production admission core and slot table, with load
/// reports, beacons as membership sends them, and half a millisecond each way between them.
/// </summary>
internal sealed class SharedReplicas
{
    private static readonly TimeSpan OneWay = TimeSpan.FromMilliseconds(0.5);
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan BeaconStep = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan BeaconInterval = TimeSpan.FromMilliseconds(100);

    private readonly PriorityQueue<Action, (TimeSpan At, long Order)> _events = new();
    private readonly FakeTimeProvider _time = new();
    private readonly Random _phases;
    private readonly Server[] _servers;
    private readonly Front[] _fronts;
    private readonly List<Served> _served = [];
    private readonly int _slots;
    private readonly int _queueLength;
    private TimeSpan _now;
    private long _order;

    /// <param name="gateways">For each gateway, whether it reports its queue and takes offers. Those of older releases do not.</param>
    /// <param name="replicas">How many there are.</param>
    /// <param name="slots">Of each.</param>
    /// <param name="seed">Of ties and phases.</param>
    /// <param name="queueLength">Of each gateway.</param>
    public SharedReplicas(bool[] gateways, int replicas, int slots, int seed = 1, int queueLength = 100_000)
    {
        (_slots, _queueLength) = (slots, queueLength);
        _phases = new Random(seed);
        _servers = [.. Enumerable.Range(0, replicas).Select(_ => new Server(slots, _time))];
        _fronts = [.. gateways.Select((knowsOffers, index) => new Front(this, index, knowsOffers, (ulong)seed))];
        foreach (var front in _fronts)
        {
            Every(Tick, front.Dispatch);
            Every(BeaconStep, front.TakeBeacons);
        }
        for (var i = 0; i < replicas; i++)
        {
            var index = i;
            Every(BeaconStep, () => Tell(index));
        }
    }

    /// <summary>A request has a place in the queue, or a slot.</summary>
    public event Action<Visit>? Admitted;

    /// <summary>A gateway refuses a request and tells its client when to come back.</summary>
    public event Action<Visit, TimeSpan>? Refused;

    /// <summary>An answer is over.</summary>
    public event Action<Served>? Ended;

    public TimeSpan Now => _now;

    public int Refusals { get; private set; }

    public int Offers { get; private set; }

    public int Declined { get; private set; }

    /// <summary>Slots in use or kept after the last request; not 0 means a leak.</summary>
    public long Left => _servers.Sum(server => (long)server.Table.Report().Running);

    /// <summary>A gateway process dies. Its waiters are lost; it must not have streams.</summary>
    /// <param name="isNoticed">Its connections break. Otherwise the replicas hear nothing from it any more.</param>
    public void Kill(int gateway, TimeSpan at, bool isNoticed) => At(at, () => _fronts[gateway].Die(isNoticed));

    /// <summary>Serves all visits.</summary>
    /// <param name="lost">How many of them are lost with their gateway.</param>
    /// <returns>In the order in which they got a slot.</returns>
    public IReadOnlyList<Served> Serve(IReadOnlyCollection<Visit> visits, int lost = 0)
    {
        foreach (var visit in visits)
            Add(visit);
        while (_served.Count < visits.Count - lost)
            Step();
        var over = _now + visits.Max(visit => visit.Hold) + TimeSpan.FromSeconds(1);
        while (_now < over)
            Step();
        return _served;
    }

    /// <summary>Adds a visit from now on.</summary>
    public void Add(Visit visit) => At(visit.At, () => _fronts[visit.Gateway].Ask(Request(visit), visit));

    /// <summary>Serves what was added, until a time.</summary>
    /// <returns>In the order in which they got a slot.</returns>
    public IReadOnlyList<Served> Run(TimeSpan until)
    {
        while (_now < until)
            Step();
        return _served;
    }

    private AdmissionRequest Request(Visit visit) => new("m", new Arrival(0, ++_order, 0) { At = visit.At }, Displaced: false, null, "", [])
    {
        Traits = new RequestTraits { IsRetry = visit.Returns > 0 },
    };

    private void Step()
    {
        _events.TryDequeue(out var next, out (TimeSpan At, long) key);
        if (key.At > _now)
            _time.Advance(key.At - _now);
        _now = key.At;
        next!();
    }

    /// <summary>As membership does: at once after a large change, else ten times a second.</summary>
    private void Tell(int index)
    {
        var server = _servers[index];
        var running = (int)server.Table.Report().Running;
        var matters = Math.Abs(running - server.ReportedLoad) * 10 >= Math.Max(10, server.ReportedLoad);
        if (!matters && _now - server.ReportedAt < BeaconInterval)
            return;
        (server.ReportedLoad, server.ReportedAt) = (running, _now);
        After(OneWay, () =>
        {
            foreach (var front in _fronts)
                front.Beacons[index] = (running, _now);
        });
    }

    private void After(TimeSpan delay, Action action) => At(_now + delay, action);

    private void At(TimeSpan at, Action action) => _events.Enqueue(action, (at, ++_order));

    private void Every(TimeSpan period, Action action)
    {
        void Again()
        {
            action();
            After(period, Again);
        }
        After(period * _phases.NextDouble(), Again);
    }

    private sealed class Server
    {
        public Server(int slots, TimeProvider time)
        {
            Table = new SlotTable(generation: 1, time);
            Table.SetSlots(slots);
        }

        public SlotTable Table { get; }

        public int ReportedLoad { get; set; }

        public TimeSpan ReportedAt { get; set; }
    }

    private sealed class Front
    {
        private readonly SharedReplicas _world;
        private readonly string _name;
        private readonly bool _knowsOffers;
        private readonly AdmissionCore _core;
        private readonly FleetSnapshot _snapshot;
        private readonly TimeSpan[] _taken;
        private readonly Dictionary<Waiter, Visit> _waiting = [];
        private readonly List<Action<uint>> _listeners = [];
        private bool _isDead;

        public Front(SharedReplicas world, int index, bool knowsOffers, ulong seed)
        {
            (_world, _name, _knowsOffers) = (world, $"gateway-{index}", knowsOffers);
            _core = new AdmissionCore(
                // Backlogs here are longer than can be served within the default.
                new AdmissionOptions { QueueLength = world._queueLength, QueueTimeout = TimeSpan.FromHours(1) },
                new HealthOptions(),
                new BalancingPolicies(BalancingPolicies.BuiltIn).Get(BalancingPolicies.Default),
                new SeededRandomSource(seed + (ulong)index));
            Beacons = new (int, TimeSpan)[world._servers.Length];
            _taken = new TimeSpan[world._servers.Length];
            _snapshot = new FleetSnapshot([.. Enumerable.Range(0, world._servers.Length).Select(i => new RoutedReplica(Describe(i)))], [], complete: true);
            _core.Update(_snapshot, TimeSpan.Zero, []);
            for (var i = 0; knowsOffers && i < world._servers.Length; i++)
            {
                var server = i;
                _listeners.Add(number => Offered(server, number));
                world._servers[i].Table.Listen(_name, _listeners[i]);
            }
        }

        public (int Running, TimeSpan At)[] Beacons { get; }

        public void Die(bool isNoticed)
        {
            _isDead = true;
            for (var i = 0; isNoticed && i < _listeners.Count; i++)
                _world._servers[i].Table.StopListening(_name, _listeners[i]);
        }

        public void Ask(AdmissionRequest request, Visit visit)
        {
            if (_isDead)
                return;
            Dispatch();
            try
            {
                if (_core.TryReserve(request, _world._now) is { } slot)
                    Start(slot, request, visit);
                else
                    _waiting[_core.Enqueue(request, _world._now)] = visit;
            }
            catch (FaultException refusal) when (_world.Refused is { } refused)
            {
                refused(visit, refusal.RetryAfter!.Value);
                return;
            }
            if (request.WaitingSince is null)
                _world.Admitted?.Invoke(visit);
        }

        public void TakeBeacons()
        {
            for (var i = 0; i < Beacons.Length; i++)
            {
                if (Beacons[i].At <= _taken[i])
                    continue;
                _taken[i] = Beacons[i].At;
                _snapshot.Replicas[i].Report(Beacons[i].Running, Beacons[i].At);
            }
            Dispatch();
        }

        public void Dispatch()
        {
            if (_core.Waiting == 0 || _isDead)
                return;
            var grants = new List<(Waiter Waiter, Reservation Slot)>();
            _core.Dispatch(_world._now, grants);
            foreach ((var waiter, var slot) in grants)
            {
                _waiting.Remove(waiter, out var visit);
                Start(slot, waiter.Request with { WaitingSince = waiter.EnqueuedAt }, visit!);
            }
        }

        private ReplicaDescription Describe(int index) =>
            new() { Id = new ReplicaId($"r{index}", 1), Address = "", Models = ["m"], Slots = _world._slots };

        private LoadReport Report(SlotTable table)
        {
            var report = table.Report(_name);
            if (!_knowsOffers)
                report.ClearRemembersCaller();
            return report;
        }

        private void Offered(int index, uint number)
        {
            _world.Offers++;
            // The clock stops at the end of the offer.
            _world.After(SlotOffers.Lifetime, () => { });
            if (_isDead)
                return;
            _world.After(OneWay, () =>
            {
                _snapshot.Replicas[index].Offer();
                Dispatch();
                if (_core.EndOffer(_snapshot.Replicas[index], _world._now))
                    return;
                _world.Declined++;
                _world.After(OneWay, () => _world._servers[index].Table.Decline(_name, number));
            });
        }

        private void Start(Reservation slot, AdmissionRequest request, Visit visit)
        {
            var granted = _world._now;
            var table = _world._servers[int.Parse(slot.Replica.Id.Name.AsSpan(1), CultureInfo.InvariantCulture)].Table;
            QueueReport? report = _knowsOffers ? new QueueReport(granted - visit.At, granted - slot.NextSince) : null;
            _world.After(OneWay, () =>
            {
                if (table.TryTake(_name, report, out var lease) != SlotAnswer.Granted)
                {
                    _world.Refusals++;
                    var refusal = Report(table);
                    _world.After(OneWay, () => End(slot, granted, Fault.NoSlot, refusal));
                    _world.After(OneWay, () => Ask(request with { WaitingSince = request.WaitingSince ?? granted }, visit));
                    return;
                }
                var served = new Served(visit, _world._now);
                _world._served.Add(served);
                var first = Report(table);
                _world.After(OneWay, () => _core.Report(slot.Replica, first, _world._now));
                _world.After(visit.Hold, () =>
                {
                    lease!.Dispose();
                    var last = Report(table);
                    _world.After(OneWay, () => End(slot, granted, null, last));
                    _world.After(OneWay, () => _world.Ended?.Invoke(served));
                });
            });
        }

        private void End(Reservation slot, TimeSpan granted, Fault? fault, LoadReport report)
        {
            _core.Release(slot, fault, _world._now);
            _core.Report(slot.Replica, report, _world._now);
            Dispatch();
        }
    }
}
