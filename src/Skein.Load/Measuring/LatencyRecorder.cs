using HdrHistogram;

namespace Skein.Load.Measuring;

/// <summary>Latencies of all answers. Safe for concurrent calls.</summary>
internal sealed class LatencyRecorder
{
    public LatencyHistogram FirstToken { get; } = new();

    public LatencyHistogram Gaps { get; } = new();

    public LatencyHistogram Ends { get; } = new();

    /// <summary>The gap before the first token after each failover.</summary>
    public LatencyHistogram Failovers { get; } = new();

    /// <summary>The longest gap of each answer with a failover.</summary>
    public LatencyHistogram FailedOver { get; } = new();
}

/// <summary>Distribution of one latency, in microseconds with three significant digits. Safe for concurrent calls.</summary>
internal sealed class LatencyHistogram
{
    private const long MaxMicroseconds = 24L * 3600 * 1_000_000;

    private readonly LongConcurrentHistogram _histogram = new(1, MaxMicroseconds, numberOfSignificantValueDigits: 3);

    public LatencySummary Summary => _histogram.TotalCount == 0
        ? new LatencySummary(0, 0, 0, 0, 0, 0)
        : new LatencySummary(_histogram.TotalCount, _histogram.GetMean() / 1000, Ms(50), Ms(90), Ms(99), _histogram.GetMaxValue() / 1000.0);

    public void Add(TimeSpan latency) => _histogram.RecordValue(Math.Clamp((long)latency.TotalMicroseconds, 1, MaxMicroseconds));

    private double Ms(double percentile) => _histogram.GetValueAtPercentile(percentile) / 1000.0;
}
