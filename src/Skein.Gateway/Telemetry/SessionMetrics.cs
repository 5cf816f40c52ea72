using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Skein.Gateway.Telemetry;

/// <summary>Times that sessions measure: waits for slots, gaps of failovers, and the pace of replicas. Thread-safe.</summary>
internal sealed class SessionMetrics : ISessionMeter
{
    private static readonly InstrumentAdvice<double> WaitBuckets = new()
    {
        HistogramBucketBoundaries = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60],
    };

    // From OpenTelemetry's conventions for this metric.
    private static readonly InstrumentAdvice<double> TokenBuckets = new()
    {
        HistogramBucketBoundaries = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5],
    };

    private readonly Histogram<double> _waits;
    private readonly Histogram<double> _gaps;
    private readonly Histogram<double> _perToken;

    public SessionMetrics(IMeterFactory meters, RoutingStatistics statistics)
    {
        var meter = meters.Create(MetricNames.Meter);
        _waits = meter.CreateHistogram("skein.queue.wait", "s", "Time that requests waited for the slot that they got.", null, WaitBuckets);
        _gaps = meter.CreateHistogram("skein.failover.gap", "s", "Time between two tokens of a client with a failover between them.", null, WaitBuckets);
        _perToken = meter.CreateHistogram(
            "gen_ai.server.time_per_output_token", "s", "Mean time per token after the first one, of answers that were finished, by replica.", null,
            TokenBuckets);
        statistics.Meter = this;
    }

    public void Waited(string model, TimeSpan wait) => _waits.Record(wait.TotalSeconds, new KeyValuePair<string, object?>(MetricNames.ResponseModel, model));

    public void Resumed(string reason, TimeSpan gap) => _gaps.Record(gap.TotalSeconds, new KeyValuePair<string, object?>("reason", reason));

    public void Generated(string model, string replica, bool isChat, TimeSpan perToken) => _perToken.Record(
        perToken.TotalSeconds,
        new TagList
        {
            { MetricNames.Operation, isChat ? MetricNames.ChatOperation : MetricNames.CompletionOperation }, { MetricNames.Provider, MetricNames.ProviderName },
            { MetricNames.ResponseModel, model }, { MetricNames.Replica, replica },
        });
}
