using System.Diagnostics;
using System.Numerics;

namespace Skein.LinkBench;

/// <summary>A histogram of durations with 16 buckets per power of two. Thread-safe.</summary>
internal sealed class TransitTimes
{
    private const int StepsPerOctave = 16;

    private readonly long[] _counts = new long[64 * StepsPerOctave];

    public void Add(long ticks) => Interlocked.Increment(ref _counts[Bucket(Math.Max(ticks, 1))]);

    public void Clear() => Array.Clear(_counts);

    /// <returns>Microseconds. Meaningless before the first duration.</returns>
    public double Quantile(double share)
    {
        var left = (long)(_counts.Sum() * share);
        var bucket = 0;
        while (bucket < _counts.Length - 1 && (left -= _counts[bucket]) >= 0)
            bucket++;
        var octave = Math.Pow(2, bucket / StepsPerOctave);
        return octave * (1 + ((double)(bucket % StepsPerOctave) / StepsPerOctave)) * 1e6 / Stopwatch.Frequency;
    }

    private static int Bucket(long ticks)
    {
        var octave = BitOperations.Log2((ulong)ticks);
        var within = ((ticks - (1L << octave)) * StepsPerOctave) >> octave;
        return (octave * StepsPerOctave) + (int)within;
    }
}
