namespace Skein.Gateway.Keys;

/// <summary>
/// A token bucket (RFC 2697) that may be overdrawn: what is used is charged when it is known, which may be after it was allowed. A bucket that has filled
/// would allow twice its capacity within the next window; what was used within the last one limits it too. Several gateways hold copies of it, and between two
/// exchanges each uses its share of what was left only. Not thread-safe.
/// </summary>
/// <remarks>System.Threading.RateLimiting has no bucket that can be charged afterwards.</remarks>
/// <param name="capacity">What may be used at once, and within each <paramref name="window"/>.</param>
internal sealed class TokenBucket(long capacity, TimeSpan window, TimeSpan now)
{
    /// <summary>Time between two exchanges of gateways.</summary>
    public static readonly TimeSpan ExchangePeriod = TimeSpan.FromSeconds(1);

    private readonly SlidingSum _used = new(window);

    /// <summary>What all gateways together have in the bucket.</summary>
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
        return (long)Math.Max(0, Math.Floor(Available));
    }

    public void Charge(long amount, TimeSpan now)
    {
        Fill(now);
        Take(amount, now);
        _own -= amount;
    }

    /// <summary>What is left, below 0 if overdrawn.</summary>
    public double Level(TimeSpan now)
    {
        Fill(now);
        return Available;
    }

    /// <summary>Charges what other gateways have used.</summary>
    public void ChargeElsewhere(double amount, TimeSpan now)
    {
        Fill(now);
        Take(amount, now);
    }

    /// <summary>Uses another gateway's level if it is lower.</summary>
    public void LowerTo(double level, TimeSpan now)
    {
        Fill(now);
        if (Available > level)
            Take(Available - level, now);
    }

    /// <summary>Begins the time until the next exchange.</summary>
    /// <param name="share">Part of what is left, and of what comes, that this gateway may use; above 0, 1 for all.</param>
    public void Reshare(double share, TimeSpan now)
    {
        Fill(now);
        _share = share;
        // One at least: a small limit would otherwise be shared until nobody has a whole request. What that overdraws is charged.
        _own = share >= 1 ? Available : Math.Max(Available * share, Math.Min(Available, 1));
    }

    /// <summary>Time until this gateway may use <paramref name="amount"/>; zero if it may now.</summary>
    public TimeSpan WaitFor(double amount, TimeSpan now)
    {
        Fill(now);
        if (Available < amount)
        {
            var filled = window * Math.Max(0, (amount - _level) / capacity);
            var older = _used.WaitUntil(capacity - amount, now);
            return filled > older ? filled : older;
        }
        if (_share >= 1 || _own >= amount)
            return TimeSpan.Zero;
        var wait = window * ((amount - _own) / capacity / _share);
        return wait < ExchangePeriod ? wait : ExchangePeriod;
    }

    /// <summary>Time until all of the capacity may be used again.</summary>
    public TimeSpan WaitUntilFull(TimeSpan now)
    {
        Fill(now);
        var filled = window * ((capacity - _level) / capacity);
        var older = _used.WaitUntil(0, now);
        return filled > older ? filled : older;
    }

    /// <summary>What may be used, below 0 if overdrawn.</summary>
    private double Available => Math.Min(_level, capacity - _used.Total);

    private void Take(double amount, TimeSpan now)
    {
        _level -= amount;
        _used.Add(amount, now);
    }

    private void Fill(TimeSpan now)
    {
        if (now <= _filledAt)
            return;
        var come = capacity * ((now - _filledAt) / window);
        _level = Math.Min(capacity, _level + come);
        _used.SlideTo(now);
        _own = Math.Min(Available, _own + (come * _share));
        _filledAt = now;
    }
}
