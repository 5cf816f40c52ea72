using HdrHistogram;

namespace Skein.GatewayBench.Clients;

/// <summary>What clients wait for, in microseconds. Thread-safe.</summary>
internal sealed class LoadTimes
{
    private const long LongestMicroseconds = 60_000_000;

    /// <summary>From sending a request to the first token of its answer.</summary>
    public LongConcurrentHistogram FirstToken { get; } = new(1, LongestMicroseconds, 3);

    /// <summary>From a server's write of a token to its arrival at the client. Of tokens that arrive together, the newest one.</summary>
    public LongConcurrentHistogram Transit { get; } = new(1, LongestMicroseconds, 3);

    public static void Record(LongConcurrentHistogram histogram, TimeSpan time) =>
        histogram.RecordValue(Math.Clamp((long)time.TotalMicroseconds, 1, LongestMicroseconds));

    /// <returns>0 if nothing was recorded.</returns>
    public static double Percentile(LongConcurrentHistogram histogram, double percent) =>
        histogram.TotalCount == 0 ? 0 : histogram.GetValueAtPercentile(percent);
}
