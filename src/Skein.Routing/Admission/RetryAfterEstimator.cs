namespace Skein.Routing.Admission;

/// <summary>
/// Tells refused callers when to come back, and expects them: each gets the next time at which the queue has room, so that returns spread at a little less than
/// the rate at which slots become free. New requests do not take the places of those who are expected. Used under the admission lock.
/// </summary>
/// <param name="others">That of all models together: what it measured holds until the own model has measured more; null: this is it.</param>
internal sealed class RetryAfterEstimator(RetryAfterEstimator? others = null)
{
    internal static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(50);

    /// <summary>Clients do not obey longer times.</summary>
    internal static readonly TimeSpan Longest = TimeSpan.FromSeconds(60);

    /// <summary>How long a place is kept for a caller that is late.</summary>
    internal static readonly TimeSpan Kept = TimeSpan.FromSeconds(2);

    /// <summary>Assumed time for which a slot is held, before the first measurement.</summary>
    internal static readonly TimeSpan AssumedHold = TimeSpan.FromMilliseconds(250);

    private const double Margin = 1.1;

    /// <summary>Weight of a new count of the leases.</summary>
    private const double Smoothing = 0.1;

    /// <summary>A gateway that has no slot now gets one some time.</summary>
    private const double LeastSlots = 0.1;

    /// <summary>Its multiples modulo 1 are never close to each other.</summary>
    private const double GoldenRatio = 0.618033988749895;

    /// <summary>Slots that are held for this many times the mean are no chance.</summary>
    private const double MuchLonger = 4;

    private const int EnoughAnswers = 32;
    private const int MostPromises = 100_000;

    private readonly PriorityQueue<TimeSpan, TimeSpan> _promised = new();
    private readonly SlotSeconds _used = new();
    private double _slots = 1;
    private TimeSpan _noneFreedSince;
    private TimeSpan _lastPlace;
    private int _rounds;

    /// <summary>It had slots when a request found none free.</summary>
    public bool HasShare { get; private set; }

    /// <summary>Mean time for which an answer holds a slot.</summary>
    private double HoldSeconds => _used.PerAnswer(others?.HoldSeconds ?? AssumedHold.TotalSeconds);

    /// <summary>
    /// Time in which the queue moves up by one (Little, 1961). Slots and their use are measured however short the queue is, so that it has its places again
    /// when answers become shorter or slots more.
    /// </summary>
    private double SecondsPerGrant => HoldSeconds / _slots;

    /// <summary>Time between two returns: a little longer than that in which the queue moves up by one, because its speed varies.</summary>
    private TimeSpan PerPlace => TimeSpan.FromSeconds(Margin * SecondsPerGrant);

    /// <summary>A slot was leased.</summary>
    public void Leased(TimeSpan now)
    {
        if (_used.Slots == 0)
            _noneFreedSince = now;
        _used.Change(now, +1);
    }

    /// <summary>A slot was given back.</summary>
    /// <param name="isEnd">Its answer is over; otherwise it goes on with another slot.</param>
    public void Freed(TimeSpan now, bool isEnd)
    {
        _used.Change(now, -1);
        if (isEnd)
            _used.EndAnswer();
        _noneFreedSince = now;
    }

    /// <summary>A request found no free slot: the leases are all that this gateway has of the slots, whoever uses the others.</summary>
    public void FoundNoSlot()
    {
        if (HasShare)
            _slots = Math.Max(LeastSlots, _slots + (Smoothing * (_used.Slots - _slots)));
        else if (_used.Slots > 0)
            (_slots, HasShare) = (_used.Slots, true);
    }

    /// <summary>Before it had any slots: how many it can expect.</summary>
    public void Expect(int slots) => _slots = Math.Max(1, slots);

    /// <summary>
    /// Most waiters that can be served within a time, as far as known. At least 1: a slot that becomes free must not wait for a caller to return.
    /// </summary>
    public int ServedWithin(TimeSpan time) => _used.Answers < EnoughAnswers || SecondsPerGrant * int.MaxValue <= time.TotalSeconds
        ? int.MaxValue
        : Math.Max(1, (int)(time.TotalSeconds / SecondsPerGrant));

    /// <summary>Callers that were told to come back and did not yet.</summary>
    public int ExpectedAt(TimeSpan now)
    {
        while (_promised.TryPeek(out var at, out _) && at + Kept < now)
            _promised.Dequeue();
        return _promised.Count;
    }

    /// <summary>A caller came back and was let in.</summary>
    public void Returned(TimeSpan now)
    {
        if (ExpectedAt(now) > 0)
            _promised.Dequeue();
    }

    /// <summary>Time until the caller's place is reached.</summary>
    /// <param name="ahead">Places that must become free before there is one for a caller.</param>
    public TimeSpan TakePlace(int ahead, TimeSpan now)
    {
        var perPlace = PerPlace;
        var untilFree = LeastUntilFree(now);
        var free = now + (perPlace * ahead > untilFree ? perPlace * ahead : untilFree);
        _lastPlace = (_lastPlace > free ? _lastPlace : free) + perPlace;
        // Those who cannot be told their time are told different ones.
        if (_lastPlace > now + Longest)
            _lastPlace = now + (Longest / 2) + (perPlace * (++_rounds * GoldenRatio % 1));
        var wait = _lastPlace - now;
        wait = wait < Shortest ? Shortest : wait;
        if (_promised.Count < MostPromises)
            _promised.Enqueue(now + wait, now + wait);
        return wait;
    }

    /// <summary>
    /// Least time until a slot becomes free. While none has for much longer than slots are held, answers are longer than is known: then as long again, so
    /// that a caller does not come back again and again while nothing ends.
    /// </summary>
    private TimeSpan LeastUntilFree(TimeSpan now)
    {
        var held = _used.Slots > 0 ? now - _noneFreedSince : TimeSpan.Zero;
        var known = TimeSpan.FromSeconds(HoldSeconds * (_used.Answers > 0 ? MuchLonger : 1));
        return held > known ? held : TimeSpan.Zero;
    }
}

/// <summary>The estimators of the models, and one for callers that are refused because of the gateway's own bounds. Used under the admission lock.</summary>
internal sealed class RetryAfterEstimators
{
    private const int MostModels = 4096;

    private readonly Dictionary<string, RetryAfterEstimator> _ofModels = new(StringComparer.Ordinal);

    public RetryAfterEstimator OfGateway { get; } = new();

    public RetryAfterEstimator Of(string model)
    {
        if (!_ofModels.TryGetValue(model, out var estimator))
        {
            // Called only for models that the fleet knows.
            if (_ofModels.Count >= MostModels)
                _ofModels.Clear();
            _ofModels[model] = estimator = new RetryAfterEstimator(OfGateway);
        }
        return estimator;
    }

    public void Leased(string model, TimeSpan now)
    {
        OfGateway.Leased(now);
        Of(model).Leased(now);
    }

    /// <param name="isEnd">The answer is over; otherwise it goes on with another slot.</param>
    public void Freed(string model, TimeSpan now, bool isEnd)
    {
        OfGateway.Freed(now, isEnd);
        Of(model).Freed(now, isEnd);
    }
}
