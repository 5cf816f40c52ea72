using Skein.Protocol.V1;
using Skein.Routing.Balancing;
using Skein.Routing.Fleet;

namespace Skein.Routing.Admission;

/// <summary>
/// Who gets which slot: queue, pick and reserve in one synchronous step. Not thread-safe; <see cref="AdmissionQueue"/> serialises.
/// </summary>
/// <remarks>
/// Invariant after <see cref="Dispatch"/>: no waiter could use any slot that is free as far as known. A newcomer may therefore take a free
/// slot right after it: those in line before it are there because that slot is no use to them. Estimates fade without any event, so
/// Dispatch comes before every newcomer too.
/// </remarks>
internal sealed class AdmissionCore(AdmissionOptions options, IBalancingPolicy policy, IRandomSource random)
{
    private readonly SortedDictionary<string, SortedSet<Waiter>> _lines = new(StringComparer.Ordinal);
    private readonly Dictionary<string, VirtualLine> _virtualLines = new(StringComparer.Ordinal);
    private BalancingCandidate[] _candidates = new BalancingCandidate[16];

    public FleetSnapshot Fleet { get; private set; } = FleetSnapshot.Empty;

    /// <summary>Waiters in all lines.</summary>
    public int Waiting { get; private set; }

    /// <summary>Reserves a slot, or says null: wait (<see cref="Enqueue"/>).</summary>
    public Replica? TryReserve(AdmissionRequest request, TimeSpan now)
    {
        Replica? replica = Pick(request, now);
        replica?.Reserve();
        return replica;
    }

    /// <summary>Puts a request that found no slot into its line.</summary>
    /// <exception cref="AdmissionException">The model is unknown, or the line is full.</exception>
    public Waiter Enqueue(AdmissionRequest request, TimeSpan now)
    {
        if (!Fleet.MayServe(request.Model))
            throw new AdmissionException(AdmissionRefusal.ModelNotFound, UnknownModelMessage(request.Model));
        int length = WaitingFor(request.Model);
        if (length >= options.QueueLength && !request.Displaced && request.WaitingSince is null)
        {
            throw new AdmissionException(
                AdmissionRefusal.QueueFull,
                $"all slots for model '{request.Model}' are busy and its line is full ({length} waiting)",
                TakeVirtualPlace(request.Model, length, now));
        }
        var waiter = new Waiter(request, request.WaitingSince ?? now);
        NoteServable(waiter, now);
        if (!_lines.TryGetValue(request.Model, out SortedSet<Waiter>? line))
            _lines[request.Model] = line = new SortedSet<Waiter>(Waiter.ByArrival);
        if (!line.Add(waiter))
            throw new InvalidOperationException($"two waiters with the same place {request.Arrival}");
        Waiting++;
        return waiter;
    }

    /// <summary>Takes a waiter out of its line.</summary>
    /// <returns>False when it was served or taken out before.</returns>
    public bool Remove(Waiter waiter)
    {
        if (!_lines.TryGetValue(waiter.Request.Model, out SortedSet<Waiter>? line) || !line.Remove(waiter))
            return false;
        if (line.Count == 0)
            _lines.Remove(waiter.Request.Model);
        Waiting--;
        return true;
    }

    /// <summary>Hands free slots to the oldest waiters that can use them.</summary>
    /// <param name="now">Current time.</param>
    /// <param name="grants">Receives each served waiter with its reserved replica.</param>
    public void Dispatch(TimeSpan now, List<(Waiter Waiter, Replica Replica)> grants)
    {
        while (Waiting > 0)
        {
            Waiter? oldest = null;
            foreach ((string model, SortedSet<Waiter> line) in _lines)
            {
                if (!AnyFree(model, now))
                    continue;
                // Nearly always the first: others are looked at only when all free slots are excluded for those before them.
                Waiter? candidate = line.FirstOrDefault(waiter => Pick(waiter.Request, now) is not null);
                if (candidate is not null && (oldest is null || Waiter.ByArrival.Compare(candidate, oldest) < 0))
                    oldest = candidate;
            }
            if (oldest is null)
                return;
            Replica replica = TryReserve(oldest.Request, now)!;
            Remove(oldest);
            grants.Add((oldest, replica));
        }
    }

    /// <summary>Replaces the snapshot; <see cref="Dispatch"/> must follow.</summary>
    /// <param name="fleet">The newest.</param>
    /// <param name="now">Current time.</param>
    /// <param name="moved">Receives the waiters whose deadline may have moved.</param>
    public void Update(FleetSnapshot fleet, TimeSpan now, List<Waiter> moved)
    {
        Fleet = fleet;
        foreach (Waiter waiter in _lines.Values.SelectMany(line => line))
        {
            TimeSpan? before = waiter.UnservableSince;
            NoteServable(waiter, now);
            if (before != waiter.UnservableSince)
                moved.Add(waiter);
        }
    }

    /// <summary>Gives a slot back; <see cref="Dispatch"/> must follow.</summary>
    public void Release(Replica replica, TimeSpan held, LeaseOutcome outcome, TimeSpan now)
    {
        replica.Unreserve();
        if (outcome == LeaseOutcome.Refused)
            replica.Refused(now);
        if (outcome != LeaseOutcome.Finished)
            return;
        foreach (string model in replica.Description.Models)
            VirtualLineOf(model).Observe(held);
    }

    /// <summary>When the waiter is to be refused unless it is served before.</summary>
    public TimeSpan DeadlineOf(Waiter waiter)
    {
        TimeSpan busy = waiter.EnqueuedAt + options.QueueTimeout;
        return waiter.UnservableSince + options.NoReplicaTimeout is { } unservable && unservable < busy ? unservable : busy;
    }

    /// <summary>Why a waiter whose deadline has passed is refused.</summary>
    public AdmissionException Expired(Waiter waiter, TimeSpan now)
    {
        string model = waiter.Request.Model;
        TimeSpan waited = now - waiter.EnqueuedAt;
        if (waiter.UnservableSince is null)
        {
            return new AdmissionException(
                AdmissionRefusal.QueueTimeout,
                $"no slot for model '{model}' came free within {waited.TotalSeconds:0.#} s",
                TakeVirtualPlace(model, WaitingFor(model), now));
        }
        return Fleet.MayServe(model)
            ? new AdmissionException(
                AdmissionRefusal.NoReplica, $"no live replica could serve model '{model}' for {waited.TotalSeconds:0.#} s", TimeSpan.FromSeconds(5))
            : new AdmissionException(AdmissionRefusal.ModelNotFound, UnknownModelMessage(model));
    }

    /// <summary>True when a waiter is held up only by a guess of others' load, which fades without any event.</summary>
    public bool NeedsTick(TimeSpan now)
    {
        foreach (string model in _lines.Keys)
        {
            foreach (Replica replica in Fleet.Serving(model))
            {
                if (replica.IsFullByEstimate(now))
                    return true;
            }
        }
        return false;
    }

    /// <summary>Takes in a report of a replica's load; <see cref="Dispatch"/> must follow.</summary>
    public static void Report(Replica replica, LoadReport report, TimeSpan now) => replica.Report(report, now);

    /// <summary>Waiters in the line of one model.</summary>
    public int WaitingFor(string model) => _lines.TryGetValue(model, out SortedSet<Waiter>? line) ? line.Count : 0;

    private Replica? Pick(AdmissionRequest request, TimeSpan now)
    {
        ReadOnlySpan<Replica> serving = Fleet.Serving(request.Model);
        if (_candidates.Length < serving.Length)
            _candidates = new BalancingCandidate[serving.Length * 2];
        int count = Gather(serving, request, suspects: false, now);
        if (count == 0)
            count = Gather(serving, request, suspects: true, now);
        return count == 0 ? null : _candidates[policy.Pick(_candidates.AsSpan(0, count), random)].Replica;
    }

    private int Gather(ReadOnlySpan<Replica> serving, AdmissionRequest request, bool suspects, TimeSpan now)
    {
        int count = 0;
        foreach (Replica replica in serving)
        {
            if (IsOpen(replica) && replica.Description.Suspect == suspects && replica.HasFreeSlot(now) && request.Accepts(replica))
                _candidates[count++] = new BalancingCandidate(replica, replica.Leased + replica.OthersLoad(now));
        }
        return count;
    }

    private bool AnyFree(string model, TimeSpan now)
    {
        foreach (Replica replica in Fleet.Serving(model))
        {
            if (IsOpen(replica) && replica.HasFreeSlot(now))
                return true;
        }
        return false;
    }

    private void NoteServable(Waiter waiter, TimeSpan now)
    {
        foreach (Replica replica in Fleet.Serving(waiter.Request.Model))
        {
            if (IsOpen(replica) && waiter.Request.Accepts(replica))
            {
                waiter.UnservableSince = null;
                return;
            }
        }
        waiter.UnservableSince ??= now;
    }

    private static bool IsOpen(Replica replica) => replica.Reachable && !replica.Draining;

    private string UnknownModelMessage(string model) =>
        Fleet.ServedModels.Count == 0
            ? $"model '{model}' is not known here; no model is served now"
            : $"model '{model}' is not known here; served are {string.Join(", ", Fleet.ServedModels.Order(StringComparer.Ordinal).Take(16))}";

    private TimeSpan TakeVirtualPlace(string model, int waiting, TimeSpan now)
    {
        int slots = 0;
        foreach (Replica replica in Fleet.Serving(model))
            slots += replica.Description.Slots;
        return VirtualLineOf(model).TakePlace(waiting, slots, now);
    }

    private VirtualLine VirtualLineOf(string model)
    {
        if (!_virtualLines.TryGetValue(model, out VirtualLine? line))
        {
            // Bounded by what the fleet knows: a made-up name never gets here.
            if (_virtualLines.Count > 4096)
                _virtualLines.Clear();
            _virtualLines[model] = line = new VirtualLine();
        }
        return line;
    }
}
