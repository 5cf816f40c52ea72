using System.Numerics;

namespace Skein.Routing.Fleet;

/// <summary>
/// A percentile of recent durations: counts in buckets of a quarter octave. All counts are halved now and then, so that old durations lose weight.
/// Thread-safe.
/// </summary>
internal sealed class RecentTimes
{
    /// <summary>Durations after which all counts are halved.</summary>
    internal const int MostKept = 4096;

    private const long TicksPerUnit = TimeSpan.TicksPerMillisecond / 4;
    private const int BucketsPerOctave = 4;

    /// <summary>From 1 ms to 4.4 minutes; the first bucket takes everything shorter, the last everything longer.</summary>
    private const int Buckets = 1 + (18 * BucketsPerOctave);

    private readonly int[] _counts = new int[Buckets];
    private int _added;

    internal int Count => _counts.Sum();

    /// <summary>99th percentile: the upper end of its bucket, so at most a quarter too long. The longest of fewer than 100; zero if there are none.</summary>
    public TimeSpan P99
    {
        get
        {
            var above = Count / 100;
            for (var bucket = Buckets - 1; bucket >= 0; bucket--)
            {
                above -= _counts[bucket];
                if (above < 0)
                    return UpperEnd(bucket);
            }
            return TimeSpan.Zero;
        }
    }

    public void Add(TimeSpan time)
    {
        Interlocked.Increment(ref _counts[BucketOf(time)]);
        // Exactly one writer reaches the bound and halves the counts.
        if (Interlocked.Increment(ref _added) != MostKept)
            return;
        for (var bucket = 0; bucket < Buckets; bucket++)
            Interlocked.Add(ref _counts[bucket], -((Volatile.Read(ref _counts[bucket]) + 1) / 2));
        Interlocked.Add(ref _added, -(MostKept / 2));
    }

    private static int BucketOf(TimeSpan time)
    {
        var units = (ulong)Math.Max(0, time.Ticks / TicksPerUnit);
        if (units < BucketsPerOctave)
            return 0;
        var shift = BitOperations.Log2(units) - 2;
        return Math.Min(Buckets - 1, 1 + (shift * BucketsPerOctave) + (int)(units >> shift) - BucketsPerOctave);
    }

    private static TimeSpan UpperEnd(int bucket)
    {
        (var shift, var quarter) = bucket == 0 ? (0, -1) : Math.DivRem(bucket - 1, BucketsPerOctave);
        return TimeSpan.FromTicks(((long)(BucketsPerOctave + quarter + 1) << shift) * TicksPerUnit);
    }
}
