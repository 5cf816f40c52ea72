namespace Skein.Serving;

/// <summary>What a request reports of its gateway's queue. Ages are measured by the gateway, so no clocks are compared.</summary>
/// <param name="Waited">Age of the request itself.</param>
/// <param name="NextWaited">Age of the next request in the queue for a slot here; null: there is none.</param>
internal readonly record struct QueueReport(TimeSpan Waited, TimeSpan? NextWaited)
{
    /// <summary>Null for gateways of older releases, which report nothing.</summary>
    public static QueueReport? Of(GenerateRequest request) => request.HasWaitedMs
        ? new QueueReport(
            TimeSpan.FromMilliseconds(request.WaitedMs), request.HasNextWaitedMs ? TimeSpan.FromMilliseconds(request.NextWaitedMs) : null)
        : null;

    /// <summary>The same for a call that is not generation.</summary>
    public static QueueReport? Of(InvokeRequest request) => request.HasWaitedMs
        ? new QueueReport(
            TimeSpan.FromMilliseconds(request.WaitedMs), request.HasNextWaitedMs ? TimeSpan.FromMilliseconds(request.NextWaitedMs) : null)
        : null;

    public TimeSpan OldestWaited => NextWaited > Waited ? NextWaited.Value : Waited;

    /// <summary>By how much the younger one of the two came later; null: there is one only.</summary>
    public TimeSpan? Gap => NextWaited is { } next ? (next - Waited).Duration() : null;
}

internal readonly record struct SlotOffer(string Gateway, uint Number);

/// <summary>
/// Tracks which gateways wait for a slot here, and offers each free slot for a short time to the gateway with the oldest waiter. One row per gateway. A
/// caller that cannot receive offers (it has no bus) may take an offered slot once it has waited longer than the offer's owner. Inactive until a request
/// is refused. Not thread-safe; <see cref="SlotTable"/> serialises.
/// </summary>
/// <remarks>
/// A gateway has one offer at a time, but several slots can become free together, as those of answers of equal length do. Then the next waiter of a gateway
/// with an offer may be older than those of the others, and the slots are held back until that gateway has told it, which takes a round trip. Invariant after
/// <see cref="Fill"/>: while a gateway waits for an offer, every free slot is reserved for some gateway or held back.
/// </remarks>
internal sealed class SlotOffers
{
    /// <summary>Lifetime of an offer: many round trips to the gateway, but short compared with a generation.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromMilliseconds(50);

    /// <summary>An offered slot is not for a waiter when another gateway's has waited so many times as long. Less is not worth a round trip.</summary>
    public const double MuchLonger = 1.5;

    /// <summary>Most rows; gateways beyond it get no offers. Each row belongs to a live bus, so forged names cannot add more.</summary>
    public const int MostGateways = 1024;

    private readonly Dictionary<string, GatewayRow> _rows = new(StringComparer.Ordinal);
    private readonly PollingCallers _polling = new();
    private uint _lastNumber;

    public int Kept { get; private set; }

    public int Waiting => _rows.Count;

    /// <summary>Slots reserved for gateways other than this one.</summary>
    public int KeptFrom(string caller) => HasOffer(caller) ? Kept - 1 : Kept;

    public bool Remembers(string gateway) => _rows.ContainsKey(gateway);

    /// <summary>
    /// Whether a request may take a free slot: one offered to its gateway, an unreserved one unless another gateway's next waiter is older, or one offered to
    /// a gateway that has waited less.
    /// </summary>
    public bool MayTake(string caller, QueueReport? queue, int free, TimeSpan now)
    {
        if (free <= 0)
            return false;

        var since = queue is { } report ? now - report.Waited : _polling.Since(caller, now) ?? now;
        if (_rows.TryGetValue(caller, out var own) && own.Offer != 0)
        {
            if (!IsOlder(now - (MuchLonger * (now - since)), caller))
                return true;

            // Another replica has served the waiter for which the slot was offered.
            Withdraw(own);
            own.Since = since;
            return false;
        }

        if (free > Kept)
            return !IsOlder(since, caller);

        var youngest = _rows.Values.Where(row => row.Offer != 0).MaxBy(row => row.Since)!;
        if (since >= youngest.Since)
            return false;

        Withdraw(youngest);
        return true;
    }

    /// <summary>Records that a request of this gateway got a slot. While no gateway waits, the next request in its queue is not recorded.</summary>
    public void Took(string caller, QueueReport? queue, TimeSpan now)
    {
        if (_rows.Count == 0 && !_polling.Any(now))
            return;

        Forget(caller);
        _polling.Forget(caller);
        if (queue?.NextWaited is { } waited)
            Remember(caller, now - waited, queue?.Gap);
    }

    /// <summary>Records that a request of this gateway was refused.</summary>
    /// <param name="queue">Null from gateways of older releases: their wait counts from their first refusal.</param>
    public void Refused(string caller, QueueReport? queue, bool takesOffers, TimeSpan now)
    {
        var since = now - (queue?.OldestWaited ?? TimeSpan.Zero);
        if (!takesOffers)
        {
            _polling.Refused(caller, since, now);
        }
        else if (_rows.TryGetValue(caller, out var row))
        {
            row.Since = since < row.Since ? since : row.Since;
            row.Gap ??= queue?.Gap;
        }
        else
        {
            _polling.Forget(caller);
            Remember(caller, since, queue?.Gap);
        }
    }

    /// <summary>Removes a gateway that declined its offer, let it expire, or disconnected.</summary>
    public void Forget(string gateway)
    {
        if (_rows.Remove(gateway, out var row))
            Withdraw(row);
    }

    /// <summary>As <see cref="Forget"/>, but ignores an offer that has expired or was replaced.</summary>
    public void Decline(string gateway, uint number)
    {
        if (number != 0 && _rows.TryGetValue(gateway, out var row) && row.Offer == number)
            Forget(gateway);
    }

    public void Clear()
    {
        _rows.Clear();
        _polling.Clear();
        Kept = 0;
    }

    /// <summary>Offers unreserved free slots, oldest waiter first.</summary>
    /// <returns>When the first offer expires; null: there are none.</returns>
    public TimeSpan? Fill(int free, TimeSpan now, List<SlotOffer> made)
    {
        if (_rows.Count == 0)
            return null;

        foreach (var (gateway, row) in _rows)
        {
            if (row.Offer != 0 && row.OfferEnds <= now)
                Forget(gateway);
        }

        while (free > Kept && _rows.Values.Where(row => row.Offer == 0).MinBy(row => row.Since) is { } oldest)
        {
            if (_rows.Values.Any(row => row.Offer != 0 && row.NextSince < oldest.Since))
                break;

            oldest.Offer = ++_lastNumber == 0 ? ++_lastNumber : _lastNumber;
            oldest.OfferEnds = now + Lifetime;
            Kept++;
            made.Add(new SlotOffer(oldest.Gateway, oldest.Offer));
        }

        return Kept == 0 ? null : _rows.Values.Where(row => row.Offer != 0).Min(row => row.OfferEnds);
    }

    /// <summary>Whether the next waiter of another gateway began to wait before that time.</summary>
    private bool IsOlder(TimeSpan since, string caller) => _rows.Values.Any(row => row.Gateway != caller && row.NextSince < since);

    private bool HasOffer(string gateway) => _rows.TryGetValue(gateway, out var row) && row.Offer != 0;

    private void Remember(string gateway, TimeSpan since, TimeSpan? gap)
    {
        if (_rows.Count < MostGateways)
            _rows[gateway] = new GatewayRow(gateway) { Since = since, Gap = gap };
    }

    private void Withdraw(GatewayRow row)
    {
        if (row.Offer != 0)
        {
            row.Offer = 0;
            Kept--;
        }
    }

    private sealed class GatewayRow(string gateway)
    {
        public string Gateway => gateway;

        /// <summary>When its oldest waiter began to wait, on this replica's clock.</summary>
        public TimeSpan Since { get; set; }

        /// <summary>By how much later a waiter came than the one before it, as far as known.</summary>
        public TimeSpan? Gap { get; set; }

        /// <summary>When the waiter began to wait that its next slot but the offered one is for; null: unknown. After an offer it is an estimate.</summary>
        public TimeSpan? NextSince => Offer == 0 ? Since : Since + Gap;

        /// <summary>Number of its offer; 0: none.</summary>
        public uint Offer { get; set; }

        public TimeSpan OfferEnds { get; set; }
    }
}
