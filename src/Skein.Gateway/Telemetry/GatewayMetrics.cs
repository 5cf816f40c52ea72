using System.Diagnostics;
using System.Diagnostics.Metrics;
using Skein.Gateway.Api;
using Skein.Gateway.Api.Http;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Gateway.Telemetry;

/// <summary>The gateway's instruments. Safe for concurrent use.</summary>
internal sealed class GatewayMetrics : IDisposable
{
    private static readonly string[] States = ["alive", "suspect", "dead", "left"];

    // Boundaries as OpenTelemetry's conventions for these two advise.
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

    public GatewayMetrics(IMeterFactory meters, IFleetVitals vitals, RequestTally tally, RequestMemoryBudget bodies, TimeProvider time)
    {
        _tally = tally;
        _time = time;
        _meter = meters.Create(MetricNames.Meter);
        _requests = _meter.CreateCounter<long>(MetricNames.Requests, "{request}", "Requests ended, by operation and outcome.");
        _tokens = _meter.CreateCounter<long>(MetricNames.Tokens, "{token}", "Tokens of prompts (input) and answers (output).");
        _duration = _meter.CreateHistogram(MetricNames.RequestDuration, "s", "Time from a request's arrival to its last byte.", null, DurationBuckets);
        _firstToken = _meter.CreateHistogram(MetricNames.TimeToFirstToken, "s", "Time from a request's arrival to its first token.", null, FirstTokenBuckets);
        _meter.CreateObservableCounter(MetricNames.Failovers, () => Failovers(vitals), "{failover}", "Changes of replica in mid-session, by reason.");
        _streams = _meter.CreateCounter<long>(MetricNames.Streams, "{stream}", "Streams begun, by how well they could be resumed.");
        _meter.CreateObservableCounter(MetricNames.Hedges, () => Hedges(vitals), "{hedge}", "Second replicas asked for a late first token, and those that won.");
        _meter.CreateObservableCounter(MetricNames.LateFrames, () => vitals.LateFrames, "{frame}", "Frames dropped because their attempt had been given up.");
        _meter.CreateObservableGauge(MetricNames.QueueDepth, () => Queues(vitals), "{request}", "Requests that wait for a slot.");
        _meter.CreateObservableGauge(MetricNames.RequestMemoryBudget, () => bodies.Bytes, "By", "Held by the bodies of requests that are read or run, over HTTP and gRPC.");
        _meter.CreateObservableGauge(MetricNames.Sessions, () => vitals.Sessions, "{session}", "Sessions that run or wait.");
        _meter.CreateObservableGauge(MetricNames.JournalMemory, () => vitals.JournalBytes, "By", "Kept of answers to go on with them elsewhere.");
        _meter.CreateObservableGauge(MetricNames.Members, () => Members(vitals), "{member}", "Members in this gateway's view, by role and state.");
        _meter.CreateObservableCounter(MetricNames.MembershipDropped, () => Dropped(vitals), "{packet}", "Gossip packets dropped unread, by cause.");
        _meter.CreateObservableGauge(MetricNames.BreakerState, () => BreakerLevels(vitals), null, "Circuit breaker of a replica: 0 closed, 1 half-open, 2 open.");
        _meter.CreateObservableCounter(MetricNames.BreakerEjections, () => Ejections(vitals), "{ejection}", "How often the circuit breaker of a replica was opened.");
    }

    /// <summary>Begins to measure a request that has just arrived.</summary>
    public RequestMeasurement Begin(string operation) => new(this, _time, operation);

    /// <summary>
    /// Records 0 for everything countable, so that it shows before it first happens: an exporter does not show what never recorded.
    /// Call it once something listens.
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
        Count(operation, outcome, 1); // last: whoever sees it may rely on the others
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
        if (SkeinHeaders.Name(tier) is { } name)
            _streams.Add(streams, new KeyValuePair<string, object?>(MetricNames.ResumeTier, name));
    }

    private static IEnumerable<Measurement<long>> Hedges(IFleetVitals vitals)
    {
        (var asked, var won) = vitals.Hedges;
        yield return new(asked, new KeyValuePair<string, object?>(MetricNames.Outcome, "asked"));
        yield return new(won, new KeyValuePair<string, object?>(MetricNames.Outcome, "won"));
    }

    private static IEnumerable<Measurement<long>> Failovers(IFleetVitals vitals) =>
        vitals.Failovers().Select(failovers => new Measurement<long>(failovers.Count, new KeyValuePair<string, object?>(MetricNames.Reason, failovers.Reason)));

    private static IEnumerable<Measurement<int>> Queues(IFleetVitals vitals) => vitals.Queues()
        .Select(queue => new Measurement<int>(queue.Waiters, new KeyValuePair<string, object?>(MetricNames.ResponseModel, queue.Model)))
        .DefaultIfEmpty(new Measurement<int>(0));

    private static IEnumerable<Measurement<long>> Dropped(IFleetVitals vitals) =>
        vitals.Dropped().Select(dropped => new Measurement<long>(dropped.Count, new KeyValuePair<string, object?>(MetricNames.Cause, dropped.Cause)));

    private static IEnumerable<Measurement<int>> BreakerLevels(IFleetVitals vitals) =>
        vitals.Breakers().Select(breaker => new Measurement<int>(breaker.Level, new KeyValuePair<string, object?>(MetricNames.Replica, breaker.Replica)));

    private static IEnumerable<Measurement<long>> Ejections(IFleetVitals vitals) =>
        vitals.Breakers().Select(breaker => new Measurement<long>(breaker.Ejections, new KeyValuePair<string, object?>(MetricNames.Replica, breaker.Replica)));

    private static IEnumerable<Measurement<int>> Members(IFleetVitals vitals)
    {
        var counts = vitals.Members().ToDictionary(count => (count.Role, count.State), count => count.Count);
        foreach (var role in new[] { Roles.Gateway, Roles.Replica })
        {
            foreach (var state in States)
            {
                yield return new(counts.GetValueOrDefault((role, state)),
                    new KeyValuePair<string, object?>(MetricNames.Role, role), new KeyValuePair<string, object?>(MetricNames.State, state));
            }
        }
    }
}
