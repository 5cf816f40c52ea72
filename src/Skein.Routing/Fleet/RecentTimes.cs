using HdrHistogram;

namespace Skein.Routing.Fleet;

/// <summary>Percentiles of the last 4,096 to 8,192 durations, at most 0.25 ms and 10 % too long; none is below 1 ms. Thread-safe.</summary>
public sealed class RecentTimes
{
    /// <summary>Durations in one histogram. There are two, and when the newer one is full, the older one is dropped.</summary>
    internal const int MostKept = 4096;

    private const long TicksPerUnit = TimeSpan.TicksPerMillisecond / 4;
    private static readonly long LongestUnits = TimeSpan.FromMinutes(4).Ticks / TicksPerUnit;

    private readonly Lock _gate = new();
    private volatile HistogramBase _older = NewHistogram();
    private volatile HistogramBase _newer = NewHistogram();

    /// <summary>Durations that are kept now.</summary>
    public long Count => _older.TotalCount + _newer.TotalCount;

    /// <summary>99th percentile; the longest of fewer than 100; zero if there are none. Allocates.</summary>
    public TimeSpan P99 => At(99)[0];

    /// <returns>The percentiles, 0 to 100, in the order asked for; zero if there are no durations. Allocates.</returns>
    public IReadOnlyList<TimeSpan> At(params ReadOnlySpan<double> percentiles)
    {
        var all = _newer.Copy();
        all.Add(_older);
        var times = new TimeSpan[percentiles.Length];
        for (var i = 0; i < times.Length && all.TotalCount > 0; i++)
            times[i] = TimeSpan.FromTicks(all.GetValueAtPercentile(percentiles[i]) * TicksPerUnit);
        return times;
    }

    public void Add(TimeSpan time)
    {
        _newer.RecordValue(Math.Clamp((time.Ticks + TicksPerUnit - 1) / TicksPerUnit, 4, LongestUnits));
        if (_newer.TotalCount < MostKept)
            return;
        lock (_gate)
        {
            if (_newer.TotalCount < MostKept)
                return;
            // A late writer may still add one duration to it, which does not matter.
            _older.Reset();
            (_older, _newer) = (_newer, _older);
        }
    }

    private static IntConcurrentHistogram NewHistogram() => new(lowestTrackableValue: 1, LongestUnits, numberOfSignificantValueDigits: 1);
}
