namespace Skein.Routing.Fleet;

/// <summary>
/// A moving average of latencies, in ticks, that follows a rise at once and a fall slowly, and fades while nothing is measured. Writers are serialised by
/// their owner; a reader may see the previous value.
/// </summary>
internal sealed class PeakLatency
{
    private static readonly double Memory = TimeSpan.FromSeconds(10).Ticks;
    private double _ticks;
    private long _measuredAt;

    /// <summary>0 if nothing was measured.</summary>
    public double At(TimeSpan now)
    {
        var ticks = Volatile.Read(ref _ticks);
        // Cheaper than an exponential function, and as good here.
        return ticks == 0 ? 0 : ticks / (1 + (Math.Max(0, now.Ticks - Volatile.Read(ref _measuredAt)) / Memory));
    }

    public void Add(TimeSpan latency, TimeSpan now)
    {
        var before = At(now);
        var kept = Math.Exp(-Math.Max(0, now.Ticks - _measuredAt) / Memory);
        Volatile.Write(ref _ticks, latency.Ticks > before ? latency.Ticks : (before * kept) + (latency.Ticks * (1 - kept)));
        Volatile.Write(ref _measuredAt, now.Ticks);
    }
}
