namespace Skein.Routing.Admission;

/// <summary>
/// Computes when a refused caller should come back. Each refused caller takes the next place behind the queue and the callers refused before
/// it, so that their times spread at the rate at which slots become free. Used under the admission lock.
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

    /// <summary>Time until the caller's place is reached. While no slot serves the queue, the last number of slots counts.</summary>
    public TimeSpan TakePlace(int waiting, int slots, TimeSpan now)
    {
        if (slots > 0)
            _slots = slots;
        var perPlace = TimeSpan.FromSeconds(_holdSeconds / _slots);
        var endOfQueue = now + (perPlace * waiting);
        var latest = now + Longest;
        _lastPlace = (_lastPlace > endOfQueue ? _lastPlace : endOfQueue) + perPlace;
        if (_lastPlace > latest)
            _lastPlace = latest;
        var wait = _lastPlace - now;
        return wait < Shortest ? Shortest : wait;
    }
}
