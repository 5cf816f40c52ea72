namespace Skein.Serving;

/// <summary>What a request says of its gateway's line. Ages are as the gateway measured them, so no clocks are compared.</summary>
/// <param name="Waited">How long the request itself has waited.</param>
/// <param name="NextWaited">How long the one behind it has, which would take a slot here next; null: nobody is behind it.</param>
internal readonly record struct QueueReport(TimeSpan Waited, TimeSpan? NextWaited)
{
    public TimeSpan OldestWaited => NextWaited > Waited ? NextWaited.Value : Waited;
}

/// <summary>A slot kept for a gateway.</summary>
internal readonly record struct SlotOffer(string Gateway, uint Number);

/// <summary>
/// Which gateways wait for a slot here, and for which of them the free ones are kept: the one whose oldest waiter is the oldest, for a short
/// time. One row per gateway. A caller that cannot be told of offers gets none, but once it waits longer than those that do, it may have theirs.
/// Does nothing while no one was refused. Not thread-safe; <see cref="SlotTable"/> serialises.
/// </summary>
/// <remarks>Invariant after <see cref="Fill"/>: where a gateway waits for an offer, no slot is free that is not kept for another one.</remarks>
internal sealed class SlotOffers
{
    /// <summary>How long a slot is kept: many times the way to the gateway and back, little of a generation.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromMilliseconds(50);

    /// <summary>Gateways beyond these are refused and forgotten. Each row belongs to a live bus: invented names come to no more than that.</summary>
    public const int MostGateways = 1024;

    private readonly Dictionary<string, Row> _rows = new(StringComparer.Ordinal);
    private readonly PollingCallers _polling = new();
    private uint _lastNumber;

    /// <summary>Slots kept.</summary>
    public int Kept { get; private set; }

    /// <summary>Gateways that wait for an offer.</summary>
    public int Waiting => _rows.Count;

    /// <summary>Slots kept for others than this one.</summary>
    public int KeptFrom(string caller) => HasOffer(caller) ? Kept - 1 : Kept;

    /// <summary>Whether it will be offered a slot.</summary>
    public bool Remembers(string gateway) => _rows.ContainsKey(gateway);

    /// <summary>Whether a request may have one of the free slots: an offered one, one that is kept for nobody, or that of a waiter younger than itself.</summary>
    public bool MayTake(string caller, QueueReport? told, int free, TimeSpan now)
    {
        if (free <= 0)
        {
            return false;
        }

        if (free > Kept || HasOffer(caller))
        {
            return true;
        }

        var since = told is { } line ? now - line.Waited : _polling.Since(caller, now) ?? now;
        var youngest = _rows.Values.Where(row => row.Offer != 0).MaxBy(row => row.Since)!;
        if (since >= youngest.Since)
        {
            return false;
        }

        Withdraw(youngest);
        return true;
    }

    /// <summary>Takes in that a request of this gateway got a slot. While nobody waits, who is next in its line is not noted.</summary>
    public void Took(string caller, QueueReport? told, TimeSpan now)
    {
        if (_rows.Count == 0 && !_polling.Any(now))
        {
            return;
        }

        Forget(caller);
        _polling.Forget(caller);
        if (told?.NextWaited is { } waited)
        {
            Remember(caller, now - waited);
        }
    }

    /// <summary>Takes in that a request of this gateway got none.</summary>
    /// <param name="caller">Who asked.</param>
    /// <param name="told">Null, from gateways that know nothing of this: waits since its first refusal.</param>
    /// <param name="takesOffers">Whether it can be told of one.</param>
    /// <param name="now">Current time.</param>
    public void Refused(string caller, QueueReport? told, bool takesOffers, TimeSpan now)
    {
        var since = now - (told?.OldestWaited ?? TimeSpan.Zero);
        if (!takesOffers)
        {
            _polling.Refused(caller, since, now);
        }
        else if (_rows.TryGetValue(caller, out var row))
        {
            row.Since = since < row.Since ? since : row.Since;
        }
        else
        {
            _polling.Forget(caller);
            Remember(caller, since);
        }
    }

    /// <summary>The gateway wants no slot: it has said so, let its offer pass, or is gone.</summary>
    public void Forget(string gateway)
    {
        if (_rows.Remove(gateway, out var row))
        {
            Withdraw(row);
        }
    }

    /// <summary>As <see cref="Forget"/>, unless it speaks of an offer that is no more.</summary>
    public void Decline(string gateway, uint number)
    {
        if (number != 0 && _rows.TryGetValue(gateway, out var row) && row.Offer == number)
        {
            Forget(gateway);
        }
    }

    public void Clear()
    {
        _rows.Clear();
        _polling.Clear();
        Kept = 0;
    }

    /// <summary>Offers free slots that are kept for nobody, oldest waiter first.</summary>
    /// <returns>When the first of all offers ends; null: there are none.</returns>
    public TimeSpan? Fill(int free, TimeSpan now, List<SlotOffer> made)
    {
        if (_rows.Count == 0)
        {
            return null;
        }

        foreach (var (gateway, row) in _rows)
        {
            if (row.Offer != 0 && row.OfferEnds <= now)
            {
                Forget(gateway);
            }
        }

        while (free > Kept && OldestWithoutOffer() is var (gateway, row))
        {
            row.Offer = ++_lastNumber == 0 ? ++_lastNumber : _lastNumber;
            row.OfferEnds = now + Lifetime;
            Kept++;
            made.Add(new SlotOffer(gateway, row.Offer));
        }

        return Kept == 0 ? null : _rows.Values.Where(row => row.Offer != 0).Min(row => row.OfferEnds);
    }

    private (string Gateway, Row Row)? OldestWithoutOffer()
    {
        (string Gateway, Row Row)? oldest = null;
        foreach (var (gateway, row) in _rows)
        {
            if (row.Offer == 0 && (oldest is null || row.Since < oldest.Value.Row.Since))
            {
                oldest = (gateway, row);
            }
        }

        return oldest;
    }

    private bool HasOffer(string gateway) => _rows.TryGetValue(gateway, out var row) && row.Offer != 0;

    private void Remember(string gateway, TimeSpan since)
    {
        if (_rows.Count < MostGateways)
        {
            _rows[gateway] = new Row { Since = since };
        }
    }

    private void Withdraw(Row row)
    {
        if (row.Offer != 0)
        {
            row.Offer = 0;
            Kept--;
        }
    }

    private sealed class Row
    {
        /// <summary>When its oldest waiter began to wait, by this replica's clock.</summary>
        public TimeSpan Since { get; set; }

        /// <summary>Number of the slot kept for it; 0: none.</summary>
        public uint Offer { get; set; }

        public TimeSpan OfferEnds { get; set; }
    }
}
