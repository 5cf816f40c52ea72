namespace Skein.Serving;

internal enum SlotAnswer
{
    Granted,
    Full,
    Draining,
}

/// <summary>
/// The replica's slots and the callers that use them. One short lock guards everything, so that each report is consistent and sequence numbers follow the
/// order of the changes.
/// </summary>
internal sealed class SlotTable : IDisposable
{
    // Further callers share one row: names come from outside and must not fill the memory.
    private const int MostCallers = 1024;
    private const string OtherCallers = "";
    private static readonly TimeSpan LeastTimer = TimeSpan.FromMilliseconds(1);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, int> _byCaller = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ulong> _begunByCaller = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Action<uint>> _listeners = new(StringComparer.Ordinal);
    private readonly SlotOffers _offers = new();
    private readonly List<SlotOffer> _made = [];
    private readonly TimeProvider _time;
    private readonly long _origin;
    private readonly ITimer _offerEnds;
    private ulong _generation;
    private ulong _sequence;
    private ulong _begun;
    private int _slots;
    private int _whole;
    private (int Count, int Rank) _share = (1, 0);
    private int _running;
    private int _peak;
    private uint _kvUsedPermille;
    private uint _engineWaiting;
    private bool _draining;
    private TaskCompletionSource? _idle;

    public SlotTable(ulong generation, TimeProvider time)
    {
        (_generation, _time, _origin) = (generation, time, time.GetTimestamp());
        _offerEnds = time.CreateTimer(
            static table => ((SlotTable)table!).EndOffers(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Raised on any thread after the number of slots changed. Handlers must return at once.</summary>
    public event Action? SlotsChanged;

    public int Slots => Volatile.Read(ref _slots);

    public int Running => Volatile.Read(ref _running);

    public bool IsDraining => Volatile.Read(ref _draining);

    private TimeSpan Now => _time.GetElapsedTime(_origin);

    /// <summary>Sets the slots of the engine. This table has its share of them.</summary>
    public void SetSlots(int slots) => Change(slots, share: null);

    /// <summary>Slots of the engine, all processes together.</summary>
    public int EngineSlots
    {
        get
        {
            lock (_gate)
                return _whole;
        }
    }

    /// <summary>Several processes use the same engine: each has an equal share of its slots; the first ones have the rest.</summary>
    /// <param name="count">Processes, this one included.</param>
    /// <param name="rank">Number of this one among them, from 0.</param>
    public void SetShare(int count, int rank) => Change(whole: null, (count, rank));

    private void Change(int? whole, (int Count, int Rank)? share)
    {
        lock (_gate)
        {
            (_whole, _share) = (whole ?? _whole, share ?? _share);
            var rest = _share.Rank < _whole % _share.Count ? 1 : 0;
            var slots = (_whole / _share.Count) + rest;
            if (_slots == slots)
                return;

            _slots = slots;
            OfferFreeSlots();
        }

        SlotsChanged?.Invoke();
    }

    /// <summary>Most slots that were in use at the same time since the last call.</summary>
    public int TakePeak()
    {
        lock (_gate)
        {
            var peak = _peak;
            _peak = _running;
            return peak;
        }
    }

    /// <summary>Sets the engine's own view of its load, which reports carry.</summary>
    public void SetEngineLoad(EngineLoad load)
    {
        Volatile.Write(ref _kvUsedPermille, (uint)Math.Clamp(load.KvUsedPermille ?? 0, 0, 1000));
        Volatile.Write(ref _engineWaiting, (uint)Math.Max(load.Waiting ?? 0, 0));
    }

    public void SetGeneration(ulong generation)
    {
        lock (_gate)
            _generation = Math.Max(_generation, generation);
    }

    public void SetDraining(bool draining)
    {
        lock (_gate)
        {
            _draining = draining;
            if (draining)
                _offers.Clear();
        }
    }

    public Task WhenIdleAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (_running == 0)
                return Task.CompletedTask;

            _idle ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _idle.Task.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Takes a slot, if one is free and not reserved for another gateway.</summary>
    public SlotAnswer TryTake(string caller, QueueReport? queue, out SlotLease? lease)
    {
        lease = null;
        lock (_gate)
        {
            if (_draining)
                return SlotAnswer.Draining;

            // Only a gateway that has a bus and reports its queue can receive offers.
            var takesOffers = queue is not null && _listeners.ContainsKey(caller);
            if (!_offers.MayTake(caller, queue, _slots - _running, Now))
            {
                if (caller.Length > 0)
                    _offers.Refused(caller, queue, takesOffers, Now);

                OfferFreeSlots();
                return SlotAnswer.Full;
            }

            _offers.Took(caller, takesOffers ? queue : null, Now);
            var row = _byCaller.ContainsKey(caller) || _byCaller.Count < MostCallers ? caller : OtherCallers;
            _byCaller[row] = _byCaller.GetValueOrDefault(row) + 1;
            _peak = Math.Max(_peak, ++_running);
            _begun++;
            var total = _begunByCaller.ContainsKey(caller) || _begunByCaller.Count < MostCallers ? caller : OtherCallers;
            _begunByCaller[total] = _begunByCaller.GetValueOrDefault(total) + 1;
            lease = new SlotLease(this, row);
            OfferFreeSlots();
            return SlotAnswer.Granted;
        }
    }

    /// <summary>Registers the receiver of offers to a gateway. A later one replaces it.</summary>
    public void Listen(string gateway, Action<uint> offered)
    {
        lock (_gate)
            _listeners[gateway] = offered;
    }

    /// <summary>Ends <see cref="Listen"/>, unless another receiver has replaced this one.</summary>
    public void StopListening(string gateway, Action<uint> offered)
    {
        lock (_gate)
        {
            if (_listeners.TryGetValue(gateway, out var listener) && listener == offered)
            {
                _listeners.Remove(gateway);
                _offers.Forget(gateway);
                OfferFreeSlots();
            }
        }
    }

    public void Decline(string gateway, uint number)
    {
        lock (_gate)
        {
            _offers.Decline(gateway, number);
            OfferFreeSlots();
        }
    }

    public LoadReport Report(string caller = "")
    {
        lock (_gate)
        {
            return new LoadReport
            {
                Generation = _generation,
                Sequence = ++_sequence,
                Slots = (uint)_slots,
                Running = (uint)(_running + KeptFrom(caller)),
                RunningForCaller = caller.Length == 0 ? 0 : (uint)_byCaller.GetValueOrDefault(caller),
                KvUsedPermille = _kvUsedPermille,
                Waiting = _engineWaiting,
                Draining = _draining,
                RemembersCaller = _offers.Remembers(caller),
                Begun = _begun,
                BegunForCaller = caller.Length == 0 ? 0 : _begunByCaller.GetValueOrDefault(caller),
            };
        }
    }

    /// <summary>Called by the lease only, once.</summary>
    public void Release(string row)
    {
        lock (_gate)
        {
            _running--;
            if (--_byCaller[row] == 0)
                _byCaller.Remove(row);

            if (_running == 0)
            {
                _idle?.SetResult();
                _idle = null;
            }

            OfferFreeSlots();
        }
    }

    /// <summary>Stops the expiry of offers. Leases may still be released.</summary>
    public void Dispose() => _offerEnds.Dispose();

    // A caller without a bus cannot receive offers: its reports count reserved slots as free.
    private int KeptFrom(string caller) => caller.Length == 0 || _listeners.ContainsKey(caller) ? _offers.KeptFrom(caller) : 0;

    /// <summary>Called after every change that may free a slot or end an offer.</summary>
    private void OfferFreeSlots()
    {
        if (_offers.Waiting == 0)
            return;

        _made.Clear();
        if (_offers.Fill(_slots - _running, Now, _made) is { } firstEnd)
        {
            var left = firstEnd - Now;
            _offerEnds.Change(left > LeastTimer ? left : LeastTimer, Timeout.InfiniteTimeSpan);
        }

        foreach (var offer in _made)
            _listeners[offer.Gateway](offer.Number);
    }

    private void EndOffers()
    {
        lock (_gate)
            OfferFreeSlots();
    }
}

/// <summary>One slot in use. The first dispose releases it, from any thread.</summary>
internal sealed class SlotLease(SlotTable table, string row) : IDisposable
{
    private int _released;

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _released, 1) == 0)
            table.Release(row);
    }
}
