namespace Skein.Routing.Admission;

/// <summary>
/// Tells refused callers when to come back, and expects them: each gets the next time at which the queue has room, so that returns spread at a little less than
/// the rate at which slots become free. New requests do not take the places of those who are expected. Used under the admission lock.
/// </summary>
internal sealed class RetryAfterEstimator
{
    internal static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(50);

    /// <summary>Clients do not obey longer times.</summary>
    internal static readonly TimeSpan Longest = TimeSpan.FromSeconds(60);

    /// <summary>How long a place is kept for a caller that is late.</summary>
    internal static readonly TimeSpan Kept = TimeSpan.FromSeconds(2);

    /// <summary>Assumed time for which a slot is held, before the first measurement.</summary>
    internal static readonly TimeSpan AssumedHold = TimeSpan.FromMilliseconds(250);

    private const double Smoothing = 0.1;
    private const double Margin = 1.1;

    /// <summary>Its multiples modulo 1 are never close to each other.</summary>
    private const double GoldenRatio = 0.618033988749895;

    /// <summary>Slots that are held for this many times the mean are no chance.</summary>
    private const double MuchLonger = 4;

    private const int EnoughGrants = 32;
    private const int MostPromises = 100_000;

    private readonly PriorityQueue<TimeSpan, TimeSpan> _promised = new();
    private double _holdSeconds = AssumedHold.TotalSeconds;
    private double _grantSeconds;
    private double _holdAtGrants;
    private int _grants;
    private bool _isHoldMeasured;
    private int _slots = 1;
    private int _leases;
    private TimeSpan _noneFreedSince;
    private TimeSpan? _lastGrant;
    private TimeSpan _lastPlace;
    private int _rounds;

    /// <summary>Time between two returns: a little longer than that in which the queue moves up by one, because its speed varies.</summary>
    private TimeSpan PerPlace => TimeSpan.FromSeconds(Margin * (MeasuredGrantSeconds ?? _holdSeconds / _slots));

    /// <summary>
    /// Time in which the queue moves up by one; null: too little was measured. It was measured while several waited, and follows the time for which slots are
    /// held, which is measured all the time: a queue that is too short for two waiters would keep its old value for ever.
    /// </summary>
    private double? MeasuredGrantSeconds => _grants >= EnoughGrants ? _holdSeconds * (_grantSeconds / _holdAtGrants) : null;

    /// <summary>A slot was leased.</summary>
    public void Leased(TimeSpan now)
    {
        if (_leases++ == 0)
            _noneFreedSince = now;
    }

    /// <summary>A slot was given back, however its lease ended.</summary>
    public void Freed(TimeSpan now)
    {
        _leases = Math.Max(0, _leases - 1);
        _noneFreedSince = now;
    }

    /// <summary>Adds the time for which a slot was leased to the moving average.</summary>
    public void Observe(TimeSpan held)
    {
        _holdSeconds = _isHoldMeasured ? _holdSeconds + (Smoothing * (held.TotalSeconds - _holdSeconds)) : held.TotalSeconds;
        _isHoldMeasured = true;
    }

    /// <summary>A waiter got a slot.</summary>
    /// <param name="isLast">No other one waits: the time to the next grant says nothing.</param>
    public void Granted(TimeSpan now, bool isLast)
    {
        if (_lastGrant is { } last && _holdSeconds > 0)
        {
            var gap = (now - last).TotalSeconds;
            // At first the plain mean: a moving average would hang on to the first gap.
            _grants++;
            var share = Math.Max(Smoothing / 4, 1.0 / _grants);
            _grantSeconds += share * (gap - _grantSeconds);
            _holdAtGrants += share * (_holdSeconds - _holdAtGrants);
        }
        _lastGrant = isLast ? null : now;
    }

    /// <summary>
    /// Most waiters that can be served within a time, as far as known. At least 1: a slot that becomes free must not wait for a caller to return.
    /// </summary>
    public int ServedWithin(TimeSpan time) =>
        MeasuredGrantSeconds is not { } each || each * int.MaxValue <= time.TotalSeconds ? int.MaxValue : Math.Max(1, (int)(time.TotalSeconds / each));

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

    /// <summary>Time until the caller's place is reached. While no slot serves the queue, the last known number of slots is used.</summary>
    /// <param name="ahead">Places that must become free before there is one for a caller.</param>
    public TimeSpan TakePlace(int ahead, int slots, TimeSpan now)
    {
        if (slots > 0)
            _slots = slots;
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
        var held = _leases > 0 ? now - _noneFreedSince : TimeSpan.Zero;
        var known = TimeSpan.FromSeconds(_holdSeconds * (_isHoldMeasured ? MuchLonger : 1));
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
            _ofModels[model] = estimator = new RetryAfterEstimator();
        }
        return estimator;
    }

    /// <summary>Adds the time for which a slot was leased, for all models that it serves.</summary>
    public void Observe(IReadOnlyList<string> models, TimeSpan held)
    {
        OfGateway.Observe(held);
        for (var i = 0; i < models.Count; i++)
            Of(models[i]).Observe(held);
    }
}
