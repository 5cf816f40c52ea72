namespace Skein.Simulation.Lab;

/// <summary>Durations with multiplicities, for percentiles of millions of gaps between tokens. At most 1 % too long.</summary>
internal sealed class WeightedTimes
{
    private static readonly double LogStep = Math.Log(1.01);
    private readonly SortedDictionary<int, long> _counts = [];
    private long _total;

    public void Add(long ticks, long count)
    {
        if (count <= 0)
            return;
        var bucket = (int)Math.Ceiling(Math.Log(ticks) / LogStep);
        _counts[bucket] = _counts.GetValueOrDefault(bucket) + count;
        _total += count;
    }

    public void Add(WeightedTimes other)
    {
        foreach ((var bucket, var count) in other._counts)
            _counts[bucket] = _counts.GetValueOrDefault(bucket) + count;
        _total += other._total;
    }

    /// <summary>0 if there are none.</summary>
    public double PercentileMs(double percentile)
    {
        var left = (long)Math.Ceiling(_total * percentile / 100);
        foreach ((var bucket, var count) in _counts)
        {
            left -= count;
            if (left <= 0)
                return Math.Exp(bucket * LogStep) / TimeSpan.TicksPerMillisecond;
        }
        return 0;
    }
}
