namespace Skein.Gateway.Keys;

/// <summary>
/// A token bucket (RFC 2697) that may be overdrawn: what is used is charged when it is known, which may be after it was allowed. Not thread-safe.
/// </summary>
/// <remarks>System.Threading.RateLimiting has no bucket that can be charged afterwards.</remarks>
/// <param name="capacity">What may be used at once, and per <paramref name="window"/> in the long run.</param>
internal sealed class TokenBucket(long capacity, TimeSpan window, TimeSpan now)
{
    private double _level = capacity;
    private TimeSpan _filledAt = now;

    public long Capacity => capacity;

    /// <summary>What is left, not below 0.</summary>
    public long Left(TimeSpan now)
    {
        Fill(now);
        return (long)Math.Max(0, Math.Floor(_level));
    }

    public void Charge(long amount, TimeSpan now)
    {
        Fill(now);
        _level -= amount;
    }

    /// <summary>Time until at least <paramref name="amount"/> is there; zero if it is.</summary>
    public TimeSpan WaitFor(double amount, TimeSpan now)
    {
        Fill(now);
        return _level >= amount ? TimeSpan.Zero : window * ((amount - _level) / capacity);
    }

    /// <summary>Time until the bucket is full again.</summary>
    public TimeSpan WaitUntilFull(TimeSpan now) => WaitFor(capacity, now);

    private void Fill(TimeSpan now)
    {
        if (now <= _filledAt)
            return;
        _level = Math.Min(capacity, _level + (capacity * ((now - _filledAt) / window)));
        _filledAt = now;
    }
}
