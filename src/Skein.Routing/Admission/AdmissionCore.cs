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
internal sealed class AdmissionCore(AdmissionOptions options, HealthOptions health, IBalancingPolicy policy, IRandomSource random)
{
    /// <summary>Minimum time in which a restarted replica can return.</summary>
    private static readonly TimeSpan ReplicaReturn = TimeSpan.FromSeconds(1);

    private readonly SortedDictionary<string, SortedSet<Waiter>> _queues = new(StringComparer.Ordinal);
    private readonly RetryAfterEstimators _retryAfterEstimators = new();
    private readonly ReplicaPicker _picker = new(policy, random);
    private readonly Ejections _ejections = new(health.Breaker);
    private TimeSpan? _watchingSince;
    private int _pausing;
    private bool _isSuspectRunning;

    public FleetSnapshot Fleet { get; private set; } = FleetSnapshot.Empty;

    public int Waiting { get; private set; }

    /// <summary>Reserves a slot; null if none is free: then <see cref="Enqueue"/> lets the request wait.</summary>
    public Reservation? TryReserve(AdmissionRequest request, TimeSpan now)
    {
        if (Pick(request, now) is not { } replica)
            return null;
        _isSuspectRunning |= request.IsSuspect;
        return new Reservation(replica, replica.Reserve(now), NextSince(replica)) { Breaks = replica.Breaks, IsSuspect = request.IsSuspect };
    }

    /// <summary>A suspect request got its first token, or its attempt ended: the next one may run. <see cref="Dispatch"/> must follow.</summary>
    public void SuspectEnded() => _isSuspectRunning = false;

    /// <summary>When a live replica may be asked; null while none is alive.</summary>
    public TimeSpan? SoonestFor(AdmissionRequest request) => ReplicaPicker.SoonestFor(Fleet.Serving(request.Model), request);

    /// <summary>Puts a request that found no slot into its queue.</summary>
    /// <exception cref="FaultException">The model is unknown, or the queue is full.</exception>
    public Waiter Enqueue(AdmissionRequest request, TimeSpan now)
    {
        if (Fleet.Serving(request.Model).IsEmpty && Fleet.TroubleOf(request.Model) is { IsFinal: true } trouble)
            throw new FaultException(trouble.Fault, $"no replica can serve model '{request.Model}': {trouble.Message}");
        if (!Fleet.MayServe(request.Model))
            throw new FaultException(Fault.ModelNotFound, UnknownModelMessage(request.Model));
        var length = WaitingFor(request.Model);
        if (length >= options.QueueLength && !request.Displaced && request.WaitingSince is null)
        {
            throw new FaultException(
                Fault.QueueFull,
                $"all slots for model '{request.Model}' are busy and its queue is full ({length} waiting)",
                retryAfter: RetryAfter(request.Model, length, now));
        }
        var waiter = new Waiter(request, request.WaitingSince ?? now);
        NoteServable(waiter, now);
        if (!_queues.TryGetValue(request.Model, out var queue))
            _queues[request.Model] = queue = new SortedSet<Waiter>(Waiter.ByArrival);
        if (!queue.Add(waiter))
            throw new InvalidOperationException($"two waiters with the same place {request.Arrival}");
        Waiting++;
        _pausing += waiter.IsPausing ? 1 : 0;
        return waiter;
    }

    /// <returns>False when it was served or removed before.</returns>
    public bool Remove(Waiter waiter)
    {
        if (!_queues.TryGetValue(waiter.Request.Model, out var queue) || !queue.Remove(waiter))
            return false;
        if (queue.Count == 0)
            _queues.Remove(waiter.Request.Model);
        Waiting--;
        _pausing -= waiter.IsPausing ? 1 : 0;
        return true;
    }

    /// <summary>Hands free slots to the oldest waiters that can use them: each is added to <paramref name="grants"/>.</summary>
    public void Dispatch(TimeSpan now, List<(Waiter Waiter, Reservation Slot)> grants)
    {
        while (Waiting > 0)
        {
            Waiter? oldest = null;
            foreach ((var model, var queue) in _queues)
            {
                var free = ReplicaPicker.FreeSlots(Fleet.Serving(model), now);
                if (free == FreeFor.None)
                    continue;
                // Nearly always the first: others are checked only when no waiter ahead of them can use a free slot.
                var candidate = queue.FirstOrDefault(
                    waiter => (free == FreeFor.Any || waiter.Request.Displaced) && Pick(waiter.Request, now) is not null);
                if (candidate is not null && (oldest is null || Waiter.ByArrival.Compare(candidate, oldest) < 0))
                    oldest = candidate;
            }
            if (oldest is null)
                return;
            Remove(oldest);
            grants.Add((oldest, TryReserve(oldest.Request, now)!.Value));
        }
    }

    /// <summary>Replaces the snapshot; adds waiters whose deadline may have moved to <paramref name="moved"/>. <see cref="Dispatch"/> must follow.</summary>
    public void Update(FleetSnapshot fleet, TimeSpan now, List<Waiter> moved)
    {
        Fleet = fleet;
        StartRamps(now);
        _ejections.SpareTheNeeded(fleet, now);
        foreach (var waiter in _queues.Values.SelectMany(queue => queue))
        {
            var before = (waiter.UnservableSince, waiter.IsHopeless);
            NoteServable(waiter, now);
            if (before != (waiter.UnservableSince, waiter.IsHopeless))
                moved.Add(waiter);
        }
    }

    /// <summary>Gives a slot back; no fault means a finish frame. <see cref="Dispatch"/> must follow.</summary>
    public void Release(Reservation slot, TimeSpan held, Fault? fault, TimeSpan now)
    {
        var replica = slot.Replica;
        replica.Unreserve();
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
                _retryAfterEstimators.Observe(replica.Description.Models, held);
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
        var busy = waiter.EnqueuedAt + options.QueueTimeout;
        if (waiter.IsHopeless && waiter.UnservableSince is { } since)
            return since;
        return waiter.UnservableSince + options.NoReplicaTimeout is { } unservable && unservable < busy ? unservable : busy;
    }

    public FaultException Expired(Waiter waiter, TimeSpan now)
    {
        var model = waiter.Request.Model;
        var waited = now - waiter.EnqueuedAt;
        if (waiter.Request.IsSuspect)
        {
            return new FaultException(
                Fault.StreamLost,
                $"two replicas died on this request in a row, and for {waited.TotalSeconds:0.#} s it could not be tried alone beside another live replica");
        }
        if (waiter.UnservableSince is null)
        {
            return new FaultException(
                Fault.QueueTimeout,
                $"no slot for model '{model}' came free within {waited.TotalSeconds:0.#} s",
                retryAfter: RetryAfter(model, WaitingFor(model), now));
        }
        if (waiter.IsHopeless && Fleet.TroubleOf(model) is { IsFinal: true } trouble)
            return new FaultException(trouble.Fault, $"no replica can serve model '{model}': {trouble.Message}");
        return Fleet.MayServe(model)
            ? new FaultException(
                Fault.NoReplica,
                $"no live replica could serve model '{model}' for {waited.TotalSeconds:0.#} s{Because(model)}",
                retryAfter: ReplicaReturn + RetryAfter(model, WaitingFor(model), now))
            : new FaultException(Fault.ModelNotFound, UnknownModelMessage(model));
    }

    /// <summary>When a caller may retry that was refused because of the gateway's own bounds: slots become free as its leases end.</summary>
    public TimeSpan TakePlaceBehindAll(int leased, TimeSpan now) => _retryAfterEstimators.OfGateway.TakePlace(Waiting, leased, now);

    /// <summary>True when a waiter may be served without any event, by time alone.</summary>
    public bool NeedsTick(TimeSpan now) => _pausing > 0 || _queues.Keys.Any(model => ReplicaPicker.WaitsForTime(Fleet.Serving(model), now));

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

    public int WaitingFor(string model) => _queues.TryGetValue(model, out var queue) ? queue.Count : 0;

    /// <summary>When the next waiter for a slot of this replica began to wait; null if there is none.</summary>
    private TimeSpan? NextSince(Replica replica)
    {
        Waiter? next = null;
        foreach ((var model, var queue) in _queues)
        {
            if (!Fleet.Serving(model).Contains(replica))
                continue;
            var candidate = queue.FirstOrDefault(waiter => waiter.Request.Accepts(replica));
            if (candidate is not null && (next is null || Waiter.ByArrival.Compare(candidate, next) < 0))
                next = candidate;
        }
        return next?.Since;
    }

    private Replica? Pick(AdmissionRequest request, TimeSpan now) =>
        request.IsSuspect && (_isSuspectRunning || now < request.SuspectFrom) ? null : _picker.Pick(Fleet.Serving(request.Model), request, now);

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
            var isNew = replica.WasReachable is null && now - _watchingSince >= health.SlowStart.Duration;
            var isBack = replica is { WasReachable: false, Reachable: true };
            if (isNew || isBack)
                replica.SlowStart.Begin(now);
            replica.WasReachable = replica.Reachable;
        }
    }

    private string Because(string model) => Fleet.TroubleOf(model).Message is { Length: > 0 } message ? $": {message}" : "";

    private string UnknownModelMessage(string model) =>
        Fleet.ServedModels.Count == 0
            ? $"model '{model}' is not known here; no model is served now"
            : $"model '{model}' is not known here; served are {string.Join(", ", Fleet.ServedModels.Order(StringComparer.Ordinal).Take(16))}";

    private TimeSpan RetryAfter(string model, int waiting, TimeSpan now)
    {
        var slots = 0;
        foreach (var replica in Fleet.Serving(model))
            slots += replica.Slots;
        return _retryAfterEstimators.Of(model).TakePlace(waiting, slots, now);
    }
}
