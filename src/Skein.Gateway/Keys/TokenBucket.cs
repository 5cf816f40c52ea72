namespace Skein.Gateway.Keys;

/// <summary>
/// A token bucket (RFC 2697) that may be overdrawn: what is used is charged when it is known, which may be after it was allowed. Several gateways hold copies
/// of it, and between two exchanges each uses its share of what was left only. Not thread-safe.
/// </summary>
/// <remarks>System.Threading.RateLimiting has no bucket that can be charged afterwards.</remarks>
/// <param name="capacity">What may be used at once, and per <paramref name="window"/> in the long run.</param>
internal sealed class TokenBucket(long capacity, TimeSpan window, TimeSpan now)
{
    /// <summary>Time between two exchanges of gateways.</summary>
    public static readonly TimeSpan ExchangePeriod = TimeSpan.FromSeconds(1);

    /// <summary>What all gateways together have left.</summary>
    private double _level = capacity;

    /// <summary>What this gateway may use of it before the next exchange.</summary>
    private double _own = capacity;
    private double _share = 1;
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
        _own -= amount;
    }

    /// <summary>What is left, below 0 if overdrawn.</summary>
    public double Level(TimeSpan now)
    {
        Fill(now);
        return _level;
    }

    /// <summary>Charges what other gateways have used.</summary>
    public void ChargeElsewhere(double amount, TimeSpan now)
    {
        Fill(now);
        _level -= amount;
    }

    /// <summary>Uses another gateway's level if it is lower.</summary>
    public void LowerTo(double level, TimeSpan now)
    {
        Fill(now);
        _level = Math.Min(_level, level);
    }

    /// <summary>Begins the time until the next exchange.</summary>
    /// <param name="share">Part of what is left, and of what comes, that this gateway may use; above 0, 1 for all.</param>
    public void Reshare(double share, TimeSpan now)
    {
        Fill(now);
        _share = share;
        // One at least: a small limit would otherwise be shared until nobody has a whole request. What that overdraws is charged.
        _own = share >= 1 ? _level : Math.Max(_level * share, Math.Min(_level, 1));
    }

    /// <summary>Time until this gateway may use <paramref name="amount"/>; zero if it may now.</summary>
    public TimeSpan WaitFor(double amount, TimeSpan now)
    {
        Fill(now);
        if (_level < amount)
            return window * ((amount - _level) / capacity);
        if (_own >= amount)
            return TimeSpan.Zero;
        var wait = window * ((amount - _own) / capacity / _share);
        return wait < ExchangePeriod ? wait : ExchangePeriod;
    }

    /// <summary>Time until the bucket is full again.</summary>
    public TimeSpan WaitUntilFull(TimeSpan now)
    {
        Fill(now);
        return window * ((capacity - _level) / capacity);
    }

    private void Fill(TimeSpan now)
    {
        if (now <= _filledAt)
            return;
        var come = capacity * ((now - _filledAt) / window);
        _level = Math.Min(capacity, _level + come);
        _own = Math.Min(_level, _own + (come * _share));
        _filledAt = now;
    }
}
