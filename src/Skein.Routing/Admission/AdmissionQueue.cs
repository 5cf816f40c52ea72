using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Skein.Routing.Balancing;
using Skein.Routing.Fleet;

namespace Skein.Routing.Admission;

/// <summary>
/// The only way to a replica: waits for a slot and returns it leased. Strict arrival order per model and priority class; a waiter is
/// overtaken only for a slot it cannot use. Thread-safe.
/// </summary>
public sealed partial class AdmissionQueue : IDisposable
{
    private static readonly TimeSpan TickPeriod = TimeSpan.FromMilliseconds(50);

    private readonly Lock _gate = new();
    private readonly AdmissionCore _core;
    private readonly BalancingPolicies _policies;
    private readonly FleetTracker _fleet;
    private readonly TimeProvider _time;
    private readonly BreakerLog _breakers;
    private readonly long _origin;
    private readonly ITimer _tick;
    private bool _tickArmed;
    private int _leased;

    /// <summary>Creates the queue of a gateway.</summary>
    /// <param name="logger">Receives the changes of breakers; null: nobody does.</param>
    /// <exception cref="ArgumentException">An option is out of its range, or the policy is unknown.</exception>
    public AdmissionQueue(
        AdmissionOptions options, BalancingPolicies policies, FleetTracker fleet, TimeProvider time, IRandomSource random,
        ILogger<AdmissionQueue>? logger = null)
    {
        _breakers = new BreakerLog(logger ?? NullLogger<AdmissionQueue>.Instance);
        options.Validate();
        _policies = policies;
        _core = new AdmissionCore(options, fleet.Health, policies.Get(options.Policy), random);
        foreach ((var model, var policy) in options.ModelPolicies)
            _core.Policies.Set(policies.Get(policy), model);
        _fleet = fleet;
        _time = time;
        _origin = time.GetTimestamp();
        _tick = time.CreateTimer(_ => Change(_ => _tickArmed = false), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _fleet.Changed += OnFleetChanged;
        OnFleetChanged();
    }

    /// <summary>Waiters in all queues.</summary>
    public int Waiting
    {
        get
        {
            lock (_gate)
                return _core.Waiting;
        }
    }

    /// <summary>Leases now: equals the running attempts.</summary>
    public int Leased => Volatile.Read(ref _leased);

    internal TimeSpan Now => _time.GetElapsedTime(_origin);

    /// <summary>Waits for a slot and reserves it.</summary>
    /// <exception cref="FaultException">No slot can be had, or none in time.</exception>
    /// <exception cref="OperationCanceledException">The caller cancelled; the request has left the queue.</exception>
    internal ValueTask<ReplicaLease> AcquireAsync(AdmissionRequest request, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ServeWaiters();
        lock (_gate)
        {
            var now = Now;
            if (_core.TryReserve(request, now) is { } slot)
            {
                var askedAt = request.WaitingSince ?? now;
                return ValueTask.FromResult(Lease(slot, now, askedAt, request.Arrival.At ?? askedAt));
            }
            var waiter = _core.Enqueue(request, now);
            waiter.Timer = _time.CreateTimer(_ => OnDeadline(waiter), null, Later(_core.DeadlineOf(waiter) - now), Timeout.InfiniteTimeSpan);
            ArmTick(now);
            return new ValueTask<ReplicaLease>(WaitAsync(waiter, cancellationToken));
        }
    }

    /// <summary>Reserves a slot that no waiter can use; null if there is none.</summary>
    internal ReplicaLease? TryAcquire(AdmissionRequest request)
    {
        ServeWaiters();
        lock (_gate)
        {
            var now = Now;
            return _core.TryReserve(request, now) is { } slot ? Lease(slot, now, askedAt: now, waitingSince: now) : null;
        }
    }

    public void Report(Replica replica, LoadReport report) => Change(now => _core.Report(replica, report, now));

    /// <summary>Applies beacons of replicas. Each replaces the older beacon or load report of its replica.</summary>
    public void Report(IReadOnlyList<RunningReport> beacons) => Change(now =>
    {
        foreach (var beacon in beacons)
            beacon.Replica.Report(beacon.Running, _time.GetElapsedTime(_origin, beacon.ReceivedAt));
    });

    /// <summary>A replica keeps a slot for this gateway: the oldest waiter that can use it gets it.</summary>
    /// <returns>False when no waiter can use it.</returns>
    public bool TakeOffer(Replica replica)
    {
        Change(_ => replica.Offer());
        lock (_gate)
            return _core.EndOffer(replica, Now);
    }

    public int WaitingFor(string model)
    {
        lock (_gate)
            return _core.WaitingFor(model);
    }

    /// <summary>What waits now.</summary>
    public QueueVitals ReadVitals()
    {
        lock (_gate)
            return _core.ReadVitals();
    }

    /// <summary>Requests that were refused for this reason since the start.</summary>
    public long Refusals(QueueRefusal reason)
    {
        lock (_gate)
            return _core.Refusals(reason);
    }

    /// <summary>When a caller may retry that this gateway refuses because of its own bounds. Each call takes a place, so that retries spread.</summary>
    public TimeSpan RetryAfter()
    {
        lock (_gate)
            return _core.TakePlaceBehindAll(Leased, Now);
    }

    /// <summary>A request for the model leaves the queue because its own deadline has passed.</summary>
    /// <param name="model">A model that the fleet knows.</param>
    /// <returns>When its caller may retry. Each call takes a place, so that retries spread.</returns>
    internal TimeSpan PastDeadline(string model)
    {
        lock (_gate)
            return _core.PastDeadline(model, Now);
    }

    /// <summary>State of the breakers of all live replicas.</summary>
    public IReadOnlyList<BreakerStatus> Breakers()
    {
        lock (_gate)
        {
            var now = Now;
            return
            [
                .. _core.Fleet.Replicas.Select(replica => new BreakerStatus(
                    replica.Id, replica.Breaker.StateAt(now), replica.Breaker.Ejections, replica.Reachable,
                    Warming: replica.WarmthAt(now) < 1)),
            ];
        }
    }

    /// <summary>When a live replica may be asked, on the queue's clock; null while none is alive.</summary>
    internal TimeSpan? SoonestFor(AdmissionRequest request)
    {
        lock (_gate)
            return _core.SoonestFor(request);
    }

    internal void SuspectEnded() => Change(_ => _core.SuspectEnded());

    public void Dispose()
    {
        _fleet.Changed -= OnFleetChanged;
        _tick.Dispose();
    }

    internal void Release(ReplicaLease lease, Fault? fault, LoadReport? report)
    {
        Interlocked.Decrement(ref _leased);
        Change(now =>
        {
            _core.Release(lease.Reservation, fault, now, lease.AnswerTokens);
            if (report is not null)
                _core.Report(lease.Replica, report, now);
        });
    }

    private async Task<ReplicaLease> WaitAsync(Waiter waiter, CancellationToken cancellationToken)
    {
        await using var registration = cancellationToken.UnsafeRegister(
            (_, token) =>
            {
                lock (_gate)
                {
                    if (!_core.Remove(waiter))
                        return;
                }
                waiter.Timer?.Dispose();
                waiter.Completion.SetCanceled(token);
            },
            null);
        var lease = await waiter.Completion.Task;
        if (cancellationToken.IsCancellationRequested)
        {
            // Served and cancelled at the same moment: the slot goes to the next waiter.
            lease.Release(Fault.Cancelled);
            throw new OperationCanceledException(cancellationToken);
        }
        return lease;
    }

    private void OnFleetChanged() => Change(now =>
    {
        var moved = new List<Waiter>();
        _core.Update(_fleet.Current, now, moved);
        foreach (var waiter in moved)
            waiter.Timer?.Change(Later(_core.DeadlineOf(waiter) - now), Timeout.InfiniteTimeSpan);
    });

    /// <summary>Slots that became free by time go to waiters before a new request gets one.</summary>
    private void ServeWaiters()
    {
        if (Waiting > 0)
            Change(static _ => { });
    }

    /// <summary>Makes a change that may free slots, assigns the slots, and completes the served waiters outside of the lock.</summary>
    private void Change(Action<TimeSpan> change)
    {
        var grants = new List<(Waiter Waiter, Reservation Slot)>();
        TimeSpan now;
        IReadOnlyList<BreakerChange> breakers;
        lock (_gate)
        {
            now = Now;
            change(now);
            if (_core.Waiting > 0)
                _core.Dispatch(now, grants);
            ArmTick(now);
            breakers = _core.TakeBreakerChanges();
        }
        foreach (var breaker in breakers)
            _breakers.Changed(breaker);
        foreach ((var waiter, var slot) in grants)
        {
            waiter.Timer?.Dispose();
            waiter.Completion.SetResult(Lease(slot, now, waiter.EnqueuedAt, waiter.Since));
        }
    }

    private void OnDeadline(Waiter waiter)
    {
        FaultException refusal;
        lock (_gate)
        {
            var now = Now;
            var left = _core.DeadlineOf(waiter) - now;
            if (left > TimeSpan.Zero)
            {
                waiter.Timer?.Change(Later(left), Timeout.InfiniteTimeSpan);
                return;
            }
            if (!_core.Remove(waiter))
                return;
            refusal = _core.Expired(waiter, now);
        }
        waiter.Timer?.Dispose();
        waiter.Completion.SetException(refusal);
    }

    private ReplicaLease Lease(Reservation slot, TimeSpan now, TimeSpan askedAt, TimeSpan waitingSince)
    {
        Interlocked.Increment(ref _leased);
        return new ReplicaLease(this, slot, now, askedAt, waitingSince);
    }

    private void ArmTick(TimeSpan now)
    {
        if (_tickArmed || _core.Waiting == 0 || !_core.NeedsTick(now))
            return;
        _tickArmed = true;
        _tick.Change(TickPeriod, Timeout.InfiniteTimeSpan);
    }

    private static TimeSpan Later(TimeSpan due) => due > TimeSpan.Zero ? due : TimeSpan.Zero;
}
