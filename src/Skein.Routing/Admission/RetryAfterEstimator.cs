namespace Skein.Routing.Admission;

/// <summary>
/// Estimates when refused callers should retry. Each takes the next place, so that retries spread at the rate of free slots. Used under the lock.
/// </summary>
internal sealed class RetryAfterEstimator
{
    internal static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(50);
    internal static readonly TimeSpan Longest = TimeSpan.FromSeconds(60);

    private const double Smoothing = 0.1;
    private double _holdSeconds = 1;
    private int _slots = 1;
    private TimeSpan _lastPlace;

    /// <summary>Adds the time for which a slot was leased to the moving average.</summary>
    public void Observe(TimeSpan held) => _holdSeconds += Smoothing * (held.TotalSeconds - _holdSeconds);

    /// <summary>Time until the caller's place is reached. While no slot serves the queue, the last known number of slots is used.</summary>
    public TimeSpan TakePlace(int waiting, int slots, TimeSpan now)
    {
        if (slots > 0)
            _slots = slots;
        var perPlace = TimeSpan.FromSeconds(_holdSeconds / _slots);
        var endOfQueue = now + (perPlace * waiting);
        _lastPlace = (_lastPlace > endOfQueue ? _lastPlace : endOfQueue) + perPlace;
        if (_lastPlace > now + Longest)
            _lastPlace = now + Longest;
        var wait = _lastPlace - now;
        return wait < Shortest ? Shortest : wait;
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
