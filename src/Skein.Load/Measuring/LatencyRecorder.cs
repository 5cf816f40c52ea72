using HdrHistogram;

namespace Skein.Load.Measuring;

/// <summary>Latency histograms of all answers (HdrHistogram, microseconds). Safe for concurrent calls.</summary>
internal sealed class LatencyRecorder
{
    private const long MaxMicroseconds = 24L * 3600 * 1_000_000;
    private const int SignificantDigits = 3;

    private readonly LongConcurrentHistogram _firstToken = Create();
    private readonly LongConcurrentHistogram _gaps = Create();
    private readonly LongConcurrentHistogram _ends = Create();
    private readonly LongConcurrentHistogram _failovers = Create();
    private readonly LongConcurrentHistogram _failedOver = Create();

    public LatencySummary FirstToken => Summarise(_firstToken);

    public LatencySummary Gaps => Summarise(_gaps);

    public LatencySummary Ends => Summarise(_ends);

    /// <summary>The gap before the first token after each failover.</summary>
    public LatencySummary Failovers => Summarise(_failovers);

    /// <summary>The longest gap of each answer with a failover.</summary>
    public LatencySummary FailedOver => Summarise(_failedOver);

    public void AddFirstToken(TimeSpan time) => Add(_firstToken, time);

    public void AddGap(TimeSpan time) => Add(_gaps, time);

    public void AddEnd(TimeSpan time) => Add(_ends, time);

    public void AddFailover(TimeSpan gap) => Add(_failovers, gap);

    public void AddFailedOver(TimeSpan longestGap) => Add(_failedOver, longestGap);

    private static LongConcurrentHistogram Create() => new(1, MaxMicroseconds, SignificantDigits);

    private static void Add(LongConcurrentHistogram histogram, TimeSpan time) =>
        histogram.RecordValue(Math.Clamp((long)time.TotalMicroseconds, 1, MaxMicroseconds));

    private static LatencySummary Summarise(LongConcurrentHistogram histogram)
    {
        double Percentile(double percentile) => histogram.GetValueAtPercentile(percentile) / 1000.0;

        return histogram.TotalCount == 0
            ? new LatencySummary(0, 0, 0, 0, 0, 0)
            : new LatencySummary(
                histogram.TotalCount, histogram.GetMean() / 1000, Percentile(50), Percentile(90), Percentile(99), histogram.GetMaxValue() / 1000.0);
    }
}
