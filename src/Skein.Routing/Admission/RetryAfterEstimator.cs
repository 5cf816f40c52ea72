namespace Skein.Routing.Admission;

/// <summary>
/// Computes when a refused caller should come back. Each refused caller takes the next place behind the line and those refused before
/// it, so that their times spread at the rate at which slots come free. Called under the admission lock.
/// </summary>
internal sealed class RetryAfterEstimator
{
    internal static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(50);
    internal static readonly TimeSpan Longest = TimeSpan.FromSeconds(60);

    private const double Smoothing = 0.1;
    private double _holdSeconds = 1;
    private int _slots = 1;
    private TimeSpan _lastPlace;

    /// <summary>Takes in how long a slot was held (moving average).</summary>
    public void Observe(TimeSpan held) => _holdSeconds += Smoothing * (held.TotalSeconds - _holdSeconds);

    /// <summary>Time until the caller's place comes up.</summary>
    /// <param name="waiting">Waiters in the real line.</param>
    /// <param name="slots">Slots that serve it; 0 while nobody does: then those that last did count.</param>
    /// <param name="now">Current time.</param>
    public TimeSpan TakePlace(int waiting, int slots, TimeSpan now)
    {
        if (slots > 0)
            _slots = slots;
        var perPlace = TimeSpan.FromSeconds(_holdSeconds / _slots);
        var endOfLine = now + (perPlace * waiting);
        var latest = now + Longest;
        _lastPlace = (_lastPlace > endOfLine ? _lastPlace : endOfLine) + perPlace;
        if (_lastPlace > latest)
            _lastPlace = latest;
        var wait = _lastPlace - now;
        return wait < Shortest ? Shortest : wait;
    }
}
