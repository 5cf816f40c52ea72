using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Skein.Gateway.Telemetry;

/// <summary>The gateway's metrics. Thread-safe.</summary>
internal sealed class GatewayMetrics : IDisposable
{
    private static readonly string[] States = ["alive", "suspect", "dead", "left"];

    // Bucket boundaries from OpenTelemetry's conventions for these two metrics.
    private static readonly InstrumentAdvice<double> FirstTokenBuckets = new()
    {
        HistogramBucketBoundaries = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
    };

    private static readonly InstrumentAdvice<double> DurationBuckets = new()
    {
        HistogramBucketBoundaries = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92],
    };

    private readonly RequestTally _tally;
    private readonly TimeProvider _time;
    private readonly Meter _meter;
    private readonly Counter<long> _requests;
    private readonly Counter<long> _tokens;
    private readonly Counter<long> _streams;
    private readonly Histogram<double> _duration;
    private readonly Histogram<double> _firstToken;

    public GatewayMetrics(IMeterFactory meters, IFleetVitals vitals, RequestTally tally, TimeProvider time)
    {
        _tally = tally;
        _time = time;
        _meter = meters.Create(MetricNames.Meter);
        _requests = _meter.CreateCounter<long>(MetricNames.Requests, "{request}", "Requests ended, by operation and outcome.");
        _tokens = _meter.CreateCounter<long>(MetricNames.Tokens, "{token}", "Tokens of prompts (input) and answers (output).");
        _duration = _meter.CreateHistogram(MetricNames.RequestDuration, "s", "Time from a request's arrival to its last byte.", null, DurationBuckets);
        _firstToken = _meter.CreateHistogram(MetricNames.TimeToFirstToken, "s", "Time from a request's arrival to its first token.", null, FirstTokenBuckets);
        _streams = _meter.CreateCounter<long>(MetricNames.Streams, "{stream}", "Streams started, by resume tier.");
        _meter.CreateObservableCounter(MetricNames.Failovers,
            () => vitals.Failovers().Select(item => Measure(item.Count, MetricNames.Reason, item.Reason)), "{failover}",
            "Changes of replica during a stream, by reason.");
        _meter.CreateObservableCounter(MetricNames.Hedges, () => Hedges(vitals), "{hedge}", "Second attempts for a late first token, and those that won.");
        _meter.CreateObservableCounter(MetricNames.LateFrames, () => vitals.LateFrames, "{frame}", "Frames dropped because their attempt had been given up.");
        _meter.CreateObservableGauge(MetricNames.QueueDepth, () => Queues(vitals), "{request}", "Requests that wait for a slot, by model.");
        _meter.CreateObservableGauge(MetricNames.Sessions, () => vitals.Sessions, "{session}", "Sessions that run or wait.");
        _meter.CreateObservableGauge(MetricNames.JournalMemory, () => vitals.JournalBytes, "By", "Memory of the journals that failovers resume from.");
        _meter.CreateObservableGauge(MetricNames.Members, () => Members(vitals), "{member}", "Members known to this gateway, by role and state.");
        _meter.CreateObservableCounter(MetricNames.MembershipDropped,
            () => vitals.Dropped().Select(item => Measure(item.Count, MetricNames.Cause, item.Cause)), "{packet}",
            "Gossip packets dropped unread, by cause.");
        _meter.CreateObservableGauge(MetricNames.BreakerState,
            () => vitals.Breakers().Select(item => Measure(item.Level, MetricNames.Replica, item.Replica)), null,
            "Circuit breaker of a replica: 0 closed, 1 half-open, 2 open.");
        _meter.CreateObservableCounter(MetricNames.BreakerEjections,
            () => vitals.Breakers().Select(item => Measure(item.Ejections, MetricNames.Replica, item.Replica)), "{ejection}",
            "How often the circuit breaker of a replica opened.");
    }

    /// <summary>Starts to measure a request that has just arrived.</summary>
    public RequestMeasurement Begin(string operation) => new(this, _time, operation);

    /// <summary>
    /// Adds 0 to every counter, because an exporter does not show a counter before its first use. Must be called after the exporter has started.
    /// </summary>
    public void RecordZeros()
    {
        foreach (var tier in Enum.GetValues<ResumeTier>())
            CountStreams(tier, 0);
        foreach (var operation in new[] { MetricNames.ChatOperation, MetricNames.CompletionOperation, MetricNames.UnreadOperation })
        {
            foreach (var outcome in RequestOutcomes.All.Distinct())
                Count(operation, outcome, 0);
            _tokens.Add(0, new(MetricNames.Operation, operation), new(MetricNames.TokenType, "input"));
            _tokens.Add(0, new(MetricNames.Operation, operation), new(MetricNames.TokenType, "output"));
        }
    }

    public void Dispose() => _meter.Dispose();

    internal void Began(ResumeTier tier) => CountStreams(tier, 1);

    internal void FirstToken(TimeSpan elapsed, string operation, string model) =>
        _firstToken.Record(elapsed.TotalSeconds, new(MetricNames.Operation, operation), new(MetricNames.ResponseModel, model));

    internal void Ended(TimeSpan elapsed, string operation, string? model, string outcome, long inputTokens, long outputTokens)
    {
        var tags = new TagList { { MetricNames.Operation, operation } };
        if (model is not null)
        {
            tags.Add(MetricNames.ResponseModel, model);
            CountTokens(inputTokens, "input", tags);
            CountTokens(outputTokens, "output", tags);
        }

        if (outcome != RequestOutcomes.Completed)
            tags.Add(MetricNames.ErrorType, outcome);
        _duration.Record(elapsed.TotalSeconds, tags);
        _tally.Count(outcome);
        Count(operation, outcome, 1); // last: when it changes, the other metrics already have
    }

    private void Count(string operation, string outcome, int requests) =>
        _requests.Add(requests, new(MetricNames.Operation, operation), new(MetricNames.Outcome, outcome));

    private void CountTokens(long tokens, string type, TagList tags)
    {
        tags.Add(MetricNames.TokenType, type);
        _tokens.Add(tokens, tags);
    }

    private void CountStreams(ResumeTier tier, int streams)
    {
        if (tier.ToWireName() is { } name)
            _streams.Add(streams, new KeyValuePair<string, object?>(MetricNames.ResumeTier, name));
    }

    private static Measurement<T> Measure<T>(T value, string attribute, string attributeValue)
        where T : struct => new(value, new KeyValuePair<string, object?>(attribute, attributeValue));

    private static Measurement<long>[] Hedges(IFleetVitals vitals)
    {
        var (asked, won) = vitals.Hedges;
        return [Measure(asked, MetricNames.Outcome, "asked"), Measure(won, MetricNames.Outcome, "won")];
    }

    private static IEnumerable<Measurement<int>> Queues(IFleetVitals vitals) =>
        vitals.Queues().Select(queue => Measure(queue.Waiters, MetricNames.ResponseModel, queue.Model)).DefaultIfEmpty(new Measurement<int>(0));

    private static IEnumerable<Measurement<int>> Members(IFleetVitals vitals)
    {
        var counts = vitals.Members().ToDictionary(count => (count.Role, count.State), count => count.Count);
        return from role in new[] { Roles.Gateway, Roles.Replica }
               from state in States
               select new Measurement<int>(counts.GetValueOrDefault((role, state)), new(MetricNames.Role, role), new(MetricNames.State, state));
    }
}
