using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Balancing;
using Skein.Routing.Fleet;
using Skein.Routing.Health;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Admission;

/// <summary>Clients that return when they were told to, at the production's admission core in virtual time. Not thread-safe.</summary>
internal sealed class ObedientClients
{
    public const int QueueLength = 64;

    /// <summary>As official SDKs have it.</summary>
    private const int MostReturns = 2;

    private readonly PriorityQueue<Action, (TimeSpan At, long Order)> _events = new();
    private readonly Dictionary<Waiter, (int Client, TimeSpan At)> _asks = [];
    private readonly List<(TimeSpan At, TimeSpan Arrived)> _served = [];
    private readonly AdmissionCore _core;
    private readonly Random _random;
    private readonly int _slots;
    private readonly double _meanHold;
    private TimeSpan _now;
    private long _order;
    private int _clients;
    private int _running;
    private int _dueReturns;
    private double _until;

    public ObedientClients(int slots, int seed, double meanHold = 1, int queueLength = QueueLength)
    {
        (_slots, _meanHold, _random) = (slots, meanHold, new Random(seed));
        _core = new AdmissionCore(
            new AdmissionOptions { QueueLength = queueLength }, new HealthOptions(),
            new BalancingPolicies(BalancingPolicies.BuiltIn).Get(BalancingPolicies.Default), new SeededRandomSource((ulong)seed));
        _core.Update(new FleetSnapshot([new Replica(Replica("a", slots))], [], complete: true), TimeSpan.Zero, []);
    }

    public int FirstReturns { get; private set; }

    public int AdmittedAtFirstReturn { get; private set; }

    public int IdleSlotsWhileCallersWereTold { get; private set; }

    public int Longest { get; private set; }

    public int Refused { get; private set; }

    public int Told { get; private set; }

    public int Waiting => _core.Waiting;

    public bool ServedInOrder => _served.Zip(_served.Skip(1)).All(pair => pair.First.Arrived <= pair.Second.Arrived);

    public int ServedBy(double seconds) => _served.Count(served => served.At.TotalSeconds <= seconds);

    public void Run(double overload, double until, double loadAfter, double end)
    {
        _until = until;
        At(TimeSpan.Zero, Arrive);
        while (_events.TryDequeue(out var next, out (TimeSpan At, long) key) && key.At.TotalSeconds < end)
        {
            _now = key.At;
            next();
        }

        void Arrive()
        {
            Ask(++_clients, returns: 0);
            var load = _now.TotalSeconds < until ? overload : loadAfter;
            if (load > 0)
                At(_now + Exponential(_meanHold / (load * _slots)), Arrive);
        }
    }

    public List<TimeSpan> Burst(int count)
    {
        var times = new List<TimeSpan>();
        for (var i = 0; i < count; i++)
        {
            try
            {
                Ask(++_clients, returns: 0, rethrow: true);
            }
            catch (FaultException refusal)
            {
                times.Add(refusal.RetryAfter!.Value);
            }
        }
        return times;
    }

    private void Ask(int client, int returns, bool rethrow = false)
    {
        var isFirstReturnAfterwards = returns == 1 && _now.TotalSeconds >= _until;
        FirstReturns += isFirstReturnAfterwards ? 1 : 0;
        _dueReturns -= returns > 0 ? 1 : 0;
        var request = new AdmissionRequest("m", new Arrival(0, ++_order, 0), Displaced: false, null, "", [])
        {
            Traits = new RequestTraits { IsRetry = returns > 0 },
        };
        try
        {
            Dispatch();
            if (_core.TryReserve(request, _now) is { } slot)
                Start(slot, _now);
            else
                _asks[_core.Enqueue(request, _now)] = (client, _now);
            Longest = Math.Max(Longest, _core.Waiting);
            AdmittedAtFirstReturn += isFirstReturnAfterwards ? 1 : 0;
        }
        catch (FaultException refusal) when (!rethrow)
        {
            Refused++;
            Told += refusal.RetryAfter is null ? 0 : 1;
            if (returns == MostReturns)
                return;
            _dueReturns++;
            At(_now + refusal.RetryAfter!.Value, () => Ask(client, returns + 1));
        }
    }

    private void Dispatch()
    {
        var grants = new List<(Waiter Waiter, Reservation Slot)>();
        _core.Dispatch(_now, grants);
        foreach ((var waiter, var slot) in grants)
        {
            _asks.Remove(waiter, out var ask);
            Start(slot, ask.At);
        }
    }

    private void Start(Reservation slot, TimeSpan arrived)
    {
        _running++;
        _served.Add((_now, arrived));
        At(_now + Exponential(_meanHold), () =>
        {
            _running--;
            _core.Release(slot, fault: null, _now);
            Dispatch();
            // Some callers wait elsewhere because the queue was full: then it must not run dry.
            if (_dueReturns > QueueLength && _running < _slots)
                IdleSlotsWhileCallersWereTold++;
        });
    }

    private void At(TimeSpan at, Action action) => _events.Enqueue(action, (at, ++_order));

    private TimeSpan Exponential(double mean) => TimeSpan.FromSeconds(mean * -Math.Log(1 - _random.NextDouble()));
}
