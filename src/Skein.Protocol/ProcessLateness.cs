namespace Skein.Protocol;

/// <summary>
/// Measures the time in which this process did not run, because it was suspended or short of processor time: a timer that measures its own delay. A verdict
/// about the silence of others leaves that time out. Thread-safe.
/// </summary>
public sealed class ProcessLateness : IDisposable
{
    /// <summary>How often the delay is measured.</summary>
    public static readonly TimeSpan Period = TimeSpan.FromMilliseconds(100);

    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private readonly LatenessMeter _meter;
    private readonly long _origin;
    private readonly ITimer _timer;

    /// <summary>Starts to measure.</summary>
    /// <param name="tolerance">A delay up to this is no stall. 1 ms to 1 min.</param>
    /// <exception cref="ArgumentException">The tolerance is out of its range.</exception>
    public ProcessLateness(TimeProvider time, TimeSpan tolerance)
    {
        OptionGuard.Range(tolerance, TimeSpan.FromMilliseconds(1), TimeSpan.FromMinutes(1), "own lateness");
        _time = time;
        _meter = new LatenessMeter(Period, tolerance);
        _origin = time.GetTimestamp();
        _timer = time.CreateTimer(_ => Tick(), state: null, Period, Period);
    }

    /// <summary>Stalls since the start, without one that may last now.</summary>
    public long Stalls
    {
        get
        {
            lock (_gate)
                return _meter.Stalls;
        }
    }

    /// <summary>Time of all stalls since the start, including one that lasts now: only grows.</summary>
    public TimeSpan Total
    {
        get
        {
            lock (_gate)
                return _meter.TotalAt(_time.GetElapsedTime(_origin));
        }
    }

    /// <summary>The same without a stall that lasts now: costs one read. As the begin of a measurement it leaves out too much, never too little.</summary>
    public TimeSpan Ended => _meter.Ended;

    public void Dispose() => _timer.Dispose();

    private void Tick()
    {
        lock (_gate)
            _meter.Tick(_time.GetElapsedTime(_origin));
    }
}

/// <summary>Adds up the delays of a periodic tick. Without clock; not thread-safe.</summary>
/// <param name="period">Time between ticks.</param>
/// <param name="tolerance">A delay up to this counts nothing.</param>
internal sealed class LatenessMeter(TimeSpan period, TimeSpan tolerance)
{
    private TimeSpan _tickedAt;
    private long _totalTicks;

    /// <summary>Time of all stalls that ended. May be read by any thread.</summary>
    public TimeSpan Ended => TimeSpan.FromTicks(Volatile.Read(ref _totalTicks));

    public long Stalls { get; private set; }

    public void Tick(TimeSpan now)
    {
        var delay = Delay(now);
        if (delay > TimeSpan.Zero)
        {
            Stalls++;
            Volatile.Write(ref _totalTicks, _totalTicks + delay.Ticks);
        }
        _tickedAt = now;
    }

    public TimeSpan TotalAt(TimeSpan now) => Ended + Delay(now);

    private TimeSpan Delay(TimeSpan now)
    {
        var delay = now - _tickedAt - period;
        return delay > tolerance ? delay : TimeSpan.Zero;
    }
}
