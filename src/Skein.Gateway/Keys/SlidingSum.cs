namespace Skein.Gateway.Keys;

/// <summary>What was used within a window of time that ends now. An amount counts for the window and up to a sixtieth of it longer. Not thread-safe.</summary>
internal sealed class SlidingSum
{
    private const int Steps = 60;

    // One more than a window has: the oldest counts until the whole of it is older than the window.
    private readonly double[] _steps = new double[Steps + 1];
    private readonly TimeSpan _step;
    private long _newest;

    public SlidingSum(TimeSpan window, TimeSpan now)
    {
        _step = window / Steps;
        _newest = now.Ticks / _step.Ticks;
    }

    public double Total { get; private set; }

    public void Add(double amount, TimeSpan now)
    {
        SlideTo(now);
        _steps[_newest % _steps.Length] += amount;
        Total += amount;
    }

    /// <summary>Forgets what is older than the window.</summary>
    public void SlideTo(TimeSpan now)
    {
        var current = now.Ticks / _step.Ticks;
        if (current <= _newest)
            return;
        for (var step = Math.Max(_newest + 1, current - Steps); step <= current; step++)
            _steps[step % _steps.Length] = 0;
        _newest = current;
        // Summed anew: differences would leave an error behind, which grows.
        Total = _steps.Sum();
    }

    /// <summary>Time until the total is at most <paramref name="most"/>, if nothing is added; zero if it is.</summary>
    public TimeSpan WaitUntil(double most, TimeSpan now)
    {
        SlideTo(now);
        var left = Total;
        for (var step = _newest - Steps; step <= _newest && left > most; step++)
        {
            left -= step < 0 ? 0 : _steps[step % _steps.Length];
            if (left <= most || step == _newest)
                return TimeSpan.FromTicks((step + _steps.Length) * _step.Ticks) - now;
        }
        return TimeSpan.Zero;
    }
}
