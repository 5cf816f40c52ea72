using System.Globalization;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Balancing;
using Skein.Routing.Fleet;
using Skein.Routing.Health;

namespace Skein.Routing.Tests.Support;

/// <summary>
/// Several gateways in front of the same replicas, in virtual time: production's admission core, Poisson arrivals, exponential holds. What a
/// gateway learns of the others' load comes with its own streams' frames, and, if asked for, by beacons as membership sends them.
/// </summary>
internal sealed class BusyFleet
{
    private const int Replicas = 16;
    private const int Slots = 8;
    private const double Use = 0.9;
    private static readonly TimeSpan OneWay = TimeSpan.FromMilliseconds(0.5);
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan BeaconStep = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan BeaconInterval = TimeSpan.FromMilliseconds(100);

    private readonly PriorityQueue<Action, (TimeSpan At, long Order)> _events = new();
    private readonly TimeSpan _meanHold;
    private readonly Random _load;
    private readonly Random _phases;
    private readonly Server[] _servers = [.. Enumerable.Range(0, Replicas).Select(_ => new Server())];
    private readonly Front[] _fronts;
    private readonly List<double> _waitsMs = [];
    private TimeSpan _now;
    private long _order;
    private int _refusals;

    private BusyFleet(int gateways, bool beacons, TimeSpan hold, int seed)
    {
        _meanHold = hold;
        _load = new Random(seed);
        _phases = new Random(seed + 1);
        _fronts = [.. Enumerable.Range(0, gateways).Select(index => new Front(this, index))];
        foreach (var front in _fronts)
        {
            Every(Tick, front.Dispatch);
            if (beacons)
                Every(BeaconStep, front.TakeBeacons);
        }
        if (beacons)
        {
            for (var i = 0; i < Replicas; i++)
            {
                var index = i;
                Every(BeaconStep, () => Tell(index));
            }
        }
    }

    /// <summary>What the requests of one run met.</summary>
    public sealed record Figures(double P50Ms, double P99Ms, double LongestMs, double RefusalsPerRequest, int Requests);

    /// <summary>Runs for 200 mean holds: some 23,000 requests, the same ones with and without beacons.</summary>
    public static Figures Run(int gateways, bool beacons, TimeSpan hold, int seed = 1)
    {
        var fleet = new BusyFleet(gateways, beacons, hold, seed);
        fleet.After(TimeSpan.Zero, fleet.Arrive);
        while (fleet._now < 200 * hold)
        {
            fleet._events.TryDequeue(out var next, out (TimeSpan At, long) key);
            fleet._now = key.At;
            next!();
        }
        double[] waits = [.. fleet._waitsMs.Order()];
        return new Figures(waits[waits.Length / 2], waits[waits.Length * 99 / 100], waits[^1], (double)fleet._refusals / waits.Length, waits.Length);
    }

    private void Arrive()
    {
        // Drawn in the order of arrivals alone, so that runs with and without beacons see the very same load.
        var front = _fronts[_load.Next(_fronts.Length)];
        var hold = Exponential(_meanHold);
        After(Exponential(_meanHold / (Use * Replicas * Slots)), Arrive);
        front.Ask(new Ask(new AdmissionRequest("m", new Arrival(0, ++_order, 0), Displaced: false, null, "", []), _now, hold));
    }

    /// <summary>As membership does: at once after a large change, else ten times a second.</summary>
    private void Tell(int index)
    {
        var server = _servers[index];
        var running = server.Running;
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

    private void After(TimeSpan delay, Action action) => _events.Enqueue(action, (_now + delay, ++_order));

    private void Every(TimeSpan period, Action action)
    {
        void Again()
        {
            action();
            After(period, Again);
        }
        After(period * _phases.NextDouble(), Again);
    }

    private TimeSpan Exponential(TimeSpan mean) => mean * -Math.Log(1 - _load.NextDouble());

    private sealed record Ask(AdmissionRequest Request, TimeSpan At, TimeSpan Hold);

    private sealed class Server
    {
        private readonly Dictionary<int, int> _byCaller = [];
        private ulong _sequence;

        public int Running { get; private set; }

        public int ReportedLoad { get; set; }

        public TimeSpan ReportedAt { get; set; }

        public void Change(int caller, int by)
        {
            Running += by;
            _byCaller[caller] = _byCaller.GetValueOrDefault(caller) + by;
        }

        public LoadReport Report(int caller) => new()
        {
            Generation = 1, Sequence = ++_sequence, Slots = Slots, Running = (uint)Running, RunningForCaller = (uint)_byCaller.GetValueOrDefault(caller),
        };
    }

    private sealed class Front
    {
        private readonly BusyFleet _fleet;
        private readonly int _index;
        private readonly AdmissionCore _core;
        private readonly FleetSnapshot _snapshot;
        private readonly TimeSpan[] _taken = new TimeSpan[Replicas];
        private readonly Dictionary<Waiter, Ask> _asks = [];

        public Front(BusyFleet fleet, int index)
        {
            (_fleet, _index) = (fleet, index);
            _core = new AdmissionCore(
                new AdmissionOptions { QueueLength = 100_000 },
                new HealthOptions(),
                new BalancingPolicies(BalancingPolicies.BuiltIn).Get(BalancingPolicies.Default),
                new SeededRandomSource((ulong)index));
            _snapshot = new FleetSnapshot([.. Enumerable.Range(0, Replicas).Select(i => new Replica(StaticFleet.Replica($"r{i}", Slots)))], [], complete: true);
            _core.Update(_snapshot, TimeSpan.Zero, []);
        }

        public (int Running, TimeSpan At)[] Beacons { get; } = new (int, TimeSpan)[Replicas];

        public void Ask(Ask ask)
        {
            Dispatch();
            if (_core.TryReserve(ask.Request, _fleet._now) is { } slot)
                Start(slot, ask);
            else
                _asks[_core.Enqueue(ask.Request with { WaitingSince = ask.At }, _fleet._now)] = ask;
        }

        public void TakeBeacons()
        {
            for (var i = 0; i < Replicas; i++)
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
            if (_core.Waiting == 0)
                return;
            var grants = new List<(Waiter Waiter, Reservation Slot)>();
            _core.Dispatch(_fleet._now, grants);
            foreach ((var waiter, var slot) in grants)
            {
                _asks.Remove(waiter, out var ask);
                Start(slot, ask!);
            }
        }

        private void Start(Reservation slot, Ask ask)
        {
            var granted = _fleet._now;
            var server = _fleet._servers[int.Parse(slot.Replica.Id.Name.AsSpan(1), CultureInfo.InvariantCulture)];
            _fleet.After(OneWay, () =>
            {
                if (server.Running == Slots)
                {
                    _fleet._refusals++;
                    var refusal = server.Report(_index);
                    _fleet.After(OneWay, () => End(slot, granted, Fault.NoSlot, refusal));
                    _fleet.After(OneWay, () => Ask(ask));
                    return;
                }
                _fleet._waitsMs.Add((_fleet._now - ask.At - OneWay).TotalMilliseconds);
                server.Change(_index, 1);
                var first = server.Report(_index);
                _fleet.After(OneWay, () => _core.Report(slot.Replica, first, _fleet._now));
                _fleet.After(ask.Hold, () =>
                {
                    server.Change(_index, -1);
                    var last = server.Report(_index);
                    _fleet.After(OneWay, () => End(slot, granted, null, last));
                });
            });
        }

        private void End(Reservation slot, TimeSpan granted, Fault? fault, LoadReport report)
        {
            _core.Release(slot, fault, _fleet._now);
            _core.Report(slot.Replica, report, _fleet._now);
            Dispatch();
        }
    }
}
