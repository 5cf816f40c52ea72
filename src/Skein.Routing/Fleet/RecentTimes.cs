using HdrHistogram;

namespace Skein.Routing.Fleet;

/// <summary>A percentile of recent durations, at most 0.25 ms and 10 % too long. Thread-safe.</summary>
internal sealed class RecentTimes
{
    /// <summary>Durations in one histogram. There are two, and when the newer one is full, the older one is dropped.</summary>
    internal const int MostKept = 4096;

    private const long TicksPerUnit = TimeSpan.TicksPerMillisecond / 4;
    private static readonly long LongestUnits = TimeSpan.FromMinutes(4).Ticks / TicksPerUnit;

    private readonly Lock _gate = new();
    private volatile HistogramBase _older = NewHistogram();
    private volatile HistogramBase _newer = NewHistogram();

    internal long Count => _older.TotalCount + _newer.TotalCount;

    /// <summary>99th percentile; the longest of fewer than 100; zero if there are none. Allocates.</summary>
    public TimeSpan P99
    {
        get
        {
            var all = _newer.Copy();
            all.Add(_older);
            return all.TotalCount == 0 ? TimeSpan.Zero : TimeSpan.FromTicks(all.GetValueAtPercentile(99) * TicksPerUnit);
        }
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
