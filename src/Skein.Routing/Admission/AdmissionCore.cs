using Skein.Routing.Balancing;
using Skein.Routing.Fleet;
using Skein.Routing.Health;

namespace Skein.Routing.Admission;

/// <summary>Assigns slots to requests: queue, pick and reserve in one step. Not thread-safe; <see cref="AdmissionQueue"/> serialises.</summary>
/// <remarks>
/// Invariant after <see cref="Dispatch"/>: no waiter could use any slot that is free as far as known. A new request may therefore take a free
/// slot right after it: the waiters ahead of it cannot use that slot. Estimates decay without any event, so Dispatch runs before every new
/// request too.
/// </remarks>
internal sealed class AdmissionCore(AdmissionOptions options, LiveHealth health, IBalancingPolicy policy, IRandomSource random)
{
    private const int MostModels = 4096;

    private readonly WaitingLines _lines = new();
    private readonly SharesByReplica _shares = new();
    private readonly Dictionary<string, TenantCounters> _tenants = new(StringComparer.Ordinal);
    private readonly QueueRefusals _refusals = new(options);
    private readonly PolicySelection _policies = new(policy, random);
    private readonly MeasuredWeights _weights = new();
    private readonly Ejections _ejections = new(health);
    private TimeSpan? _watchingSince;
    private long _turns;
    private bool _isSuspectRunning;

    public AdmissionCore(AdmissionOptions options, HealthOptions health, IBalancingPolicy policy, IRandomSource random)
        : this(options, new LiveHealth(health), policy, random)
    {
    }

    public FleetSnapshot Fleet { get; private set; } = FleetSnapshot.Empty;

    /// <summary>The bounds in use. Waiters that are over a new bound stay.</summary>
    public AdmissionOptions Options
    {
        get => _refusals.Options;
        set
        {
            _refusals.Options = value;
            if (!value.MeasuredWeights)
                MeasuredWeights.Clear(Fleet);
        }
    }

    public int Waiting => _lines.Count;

    public PolicySelection Policies => _policies;

    /// <summary>Reserves a slot; null if none is free: then <see cref="Enqueue"/> lets the request wait.</summary>
    public Reservation? TryReserve(AdmissionRequest request, TimeSpan now)
    {
        if (Pick(request, now, isUsed: true) is not { } replica)
            return null;
        if (request.Traits.IsRetry && !request.Displaced && request.WaitingSince is null)
            _refusals.Estimators.Of(request.Model).Returned(now);
        return Reserve(replica, request, now);
    }

    private Reservation Reserve(Replica replica, AdmissionRequest request, TimeSpan now)
    {
        replica.LastTurn = ++_turns;
        _isSuspectRunning |= request.IsSuspect;
        _refusals.Estimators.Leased(request.Model, now);
        return new Reservation(replica, replica.Reserve(now), NextSince(replica))
        {
            Breaks = replica.Breaks, IsSuspect = request.IsSuspect, Request = request,
            Charged = CountersOf(request.Model)?.Charge(request.Traits.Tenant, request.Traits.PromptTokens) ?? 0,
        };
    }

    /// <summary>A suspect request got its first token, or its attempt ended: the next one may run. <see cref="Dispatch"/> must follow.</summary>
    public void SuspectEnded() => _isSuspectRunning = false;

    /// <summary>When a live replica may be asked; null while none is alive.</summary>
    public TimeSpan? SoonestFor(AdmissionRequest request) => ReplicaPicker.SoonestFor(Fleet.Serving(request.Model), request);

    /// <summary>Puts a request that found no slot into its queue.</summary>
    /// <exception cref="FaultException">The model is unknown, or the queue is full.</exception>
    public Waiter Enqueue(AdmissionRequest request, TimeSpan now)
    {
        QueueRefusals.RequireServable(request.Model, Fleet);
        if (!request.Displaced && request.WaitingSince is null)
            _refusals.RequireRoom(request, _lines.Of(request.Model), Fleet, now);
        var waiter = new Waiter(request, request.WaitingSince ?? now);
        NoteServable(waiter, now);
        _lines.Add(waiter, CountersOf(request.Model));
        return waiter;
    }

    /// <returns>False when it was served or removed before.</returns>
    public bool Remove(Waiter waiter) => _lines.Remove(waiter);

    /// <summary>Hands free slots to the waiters whose turn it is: each is added to <paramref name="grants"/>.</summary>
    public void Dispatch(TimeSpan now, List<(Waiter Waiter, Reservation Slot)> grants)
    {
        while (Waiting > 0 && _lines.Next(model => UsableBy(model, now)) is { } next)
        {
            var replica = Pick(next.Request, now, isUsed: true)!;
            _lines.Serve(next, _shares.Of(replica)!);
            grants.Add((next, Reserve(replica, next.Request, now)));
        }
    }

    /// <summary>Replaces the snapshot; adds waiters whose deadline may have moved to <paramref name="moved"/>. <see cref="Dispatch"/> must follow.</summary>
    public void Update(FleetSnapshot fleet, TimeSpan now, List<Waiter> moved)
    {
        Fleet = fleet;
        _shares.Update(fleet.Replicas);
        StartRamps(now);
        _ejections.SpareTheNeeded(fleet, now);
        foreach (var waiter in _lines.All)
        {
            var before = (waiter.UnservableSince, waiter.IsHopeless);
            NoteServable(waiter, now);
            if (before != (waiter.UnservableSince, waiter.IsHopeless))
                moved.Add(waiter);
        }
    }

    /// <summary>Gives a slot back; no fault means a finish frame. <see cref="Dispatch"/> must follow.</summary>
    /// <param name="answerTokens">Tokens that were generated with it.</param>
    public void Release(Reservation slot, Fault? fault, TimeSpan now, long answerTokens = 0)
    {
        var replica = slot.Replica;
        replica.Unreserve();
        // A client that leaves frees its slot as a finish does; after other faults the answer goes on.
        if (slot.Request is { } request)
            _refusals.Estimators.Freed(request.Model, now, isEnd: fault?.Class() is null or FaultClass.Client or FaultClass.Request);
        if (slot.Charged > 0)
            Correct(slot, fault, answerTokens);
        if (IsFailure(slot, fault))
        {
            replica.Breaks += fault!.Value.Class() == FaultClass.Connection ? 1 : 0;
            replica.Failing.Add(now);
            _ejections.Ended(replica, slot.Epoch, fault, Fleet, now);
        }
        else
        {
            _ejections.Ended(replica, slot.Epoch, fault?.Class() == FaultClass.Connection ? Fault.Cancelled : fault, Fleet, now);
        }
        switch (fault)
        {
            case null:
                if (Options.MeasuredWeights)
                    _weights.Ended(replica, Fleet, now);
                break;
            case Fault.NoSlot or Fault.Draining:
                replica.Refused(now);
                break;
            case Fault.Straggler:
                replica.Slowness.Add(now);
                break;
            default:
                // The slot may have been given back before the replica was asked.
                if (fault.Value.Class() is FaultClass.Client or FaultClass.Request)
                    replica.AskSoon(now);
                break;
        }
    }

    /// <summary>Time at which the waiter is refused if it was not served before.</summary>
    public TimeSpan DeadlineOf(Waiter waiter)
    {
        var busy = waiter.EnqueuedAt + Options.QueueTimeout;
        if (waiter.IsHopeless && waiter.UnservableSince is { } since)
            return since;
        return waiter.UnservableSince + Options.NoReplicaTimeout is { } unservable && unservable < busy ? unservable : busy;
    }

    public FaultException Expired(Waiter waiter, TimeSpan now) => _refusals.Expired(waiter, _lines.Of(waiter.Request.Model), Fleet, now);

    /// <summary>When a caller may retry that was refused because of the gateway's own bounds: slots become free as its leases end.</summary>
    public TimeSpan TakePlaceBehindAll(int leased, TimeSpan now)
    {
        var estimator = _refusals.Estimators.OfGateway;
        estimator.FoundNoSlot();
        if (!estimator.HasShare)
            estimator.Expect(leased);
        return estimator.TakePlace(0, now);
    }

    /// <summary>True when a waiter may be served without any event, by time alone.</summary>
    public bool NeedsTick(TimeSpan now) => _lines.Pausing > 0 || _lines.Models.Any(model => ReplicaPicker.WaitsForTime(Fleet.Serving(model), now));

    /// <summary>Applies a replica's load report from a stream; <see cref="Dispatch"/> must follow.</summary>
    public void Report(Replica replica, LoadReport report, TimeSpan now)
    {
        replica.Report(report, now);
        if (report.Draining)
            _ejections.SpareTheNeeded(Fleet, now);
    }

    /// <summary>Ends an offer after <see cref="Dispatch"/>. True if a waiter got the slot or will get it.</summary>
    public bool EndOffer(Replica replica, TimeSpan now)
    {
        if (!replica.TakeBackOffer(now))
            return true;
        // The slot was leased here, and the gateway has not processed the end of its attempt yet: then the next waiter gets it.
        return replica.Leased >= replica.Slots && NextSince(replica) is not null;
    }

    /// <summary>Takes the changes of breakers since the last call, oldest first.</summary>
    public IReadOnlyList<BreakerChange> TakeBreakerChanges() => _ejections.TakeChanges();

    /// <summary>The attempt failed, and not only because a connection broke for which another attempt has counted.</summary>
    private static bool IsFailure(Reservation slot, Fault? fault) => fault?.Class() switch
    {
        FaultClass.Engine => true,
        FaultClass.Connection => slot.Breaks == slot.Replica.Breaks,
        _ => false,
    };

    public long Refusals(QueueRefusal reason) => _refusals.Count(reason);

    public QueueVitals ReadVitals() => _lines.ReadVitals(Fleet.KnownModels);

    /// <summary>A waiter leaves because of its own deadline.</summary>
    /// <returns>When its caller may retry.</returns>
    public TimeSpan PastDeadline(string model, TimeSpan now) => _refusals.PastDeadline(model, _lines.Of(model), now);

    public int WaitingFor(string model) => _lines.Of(model)?.Count ?? 0;

    /// <summary>When the next waiter for a slot of this replica began to wait; null if there is none.</summary>
    private TimeSpan? NextSince(Replica replica)
    {
        // An offer may come from a replica that has left since.
        if (Waiting == 0 || _shares.Of(replica) is not { } shares)
            return null;
        var next = _lines.Next(model => Fleet.Serving(model).Contains(replica) ? waiter => waiter.Request.Accepts(replica) ? shares : null : null);
        return next?.Since;
    }

    /// <summary>Tells which waiters of a model could use a free slot, and the shares of that slot; null: none could.</summary>
    private Func<Waiter, ClassShares?>? UsableBy(string model, TimeSpan now)
    {
        var free = ReplicaPicker.FreeSlots(Fleet.Serving(model), now);
        if (free == FreeFor.None)
            return null;
        return waiter => (free == FreeFor.Any || waiter.Request.Displaced) && Pick(waiter.Request, now, isUsed: false) is { } replica
            ? _shares.Of(replica)
            : null;
    }

    private Replica? Pick(AdmissionRequest request, TimeSpan now, bool isUsed)
    {
        var serving = Fleet.Serving(request.Model);
        if (serving.IsEmpty || (request.IsSuspect && (_isSuspectRunning || now < request.SuspectFrom)))
            return null;
        return _policies.PickerOf(request.Model).Pick(serving, request, now, isUsed);
    }

    private void NoteServable(Waiter waiter, TimeSpan now)
    {
        if (ReplicaPicker.CanServe(Fleet.Serving(waiter.Request.Model), waiter.Request))
            waiter.UnservableSince = null;
        else
            waiter.UnservableSince ??= now;
        waiter.IsHopeless = Fleet.Serving(waiter.Request.Model).IsEmpty && Fleet.TroubleOf(waiter.Request.Model).IsFinal;
    }

    private void StartRamps(TimeSpan now)
    {
        if (Fleet.Replicas.Count > 0)
            _watchingSince ??= now;
        foreach (var replica in Fleet.Replicas)
        {
            // While this gateway is new itself, it cannot tell a new replica from one it has not seen yet.
            var isNew = replica.WasReachable is null && now - _watchingSince >= health.Current.SlowStart.Duration;
            var isBack = replica is { WasReachable: false, Reachable: true };
            if (isNew || isBack)
                replica.SlowStart.Begin(now);
            replica.WasReachable = replica.Reachable;
        }
    }

    private TenantCounters? CountersOf(string model)
    {
        if (!Options.TenantFairness)
            return null;
        if (_tenants.TryGetValue(model, out var counters))
            return counters;
        // While the fleet is not known yet, names come from clients. What is lost is who was served how much.
        if (_tenants.Count >= MostModels)
            _tenants.Clear();
        return _tenants[model] = new TenantCounters();
    }

    private void Correct(Reservation slot, Fault? fault, long answerTokens)
    {
        var traits = slot.Request!.Traits;
        // A replica that refused has read no prompt.
        var promptTokens = fault is Fault.NoSlot or Fault.Draining ? 0 : traits.PromptTokens;
        CountersOf(slot.Request.Model)?.Correct(traits.Tenant, slot.Charged, promptTokens, answerTokens, isWhole: fault is null);
    }
}
