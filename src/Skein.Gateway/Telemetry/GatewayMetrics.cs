using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Net;
using Skein.Gateway.Keys;

namespace Skein.Gateway.Telemetry;

/// <summary>The gateway's metrics. Thread-safe.</summary>
internal sealed class GatewayMetrics : IHostedService
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
    private readonly Counter<long> _requests;
    private readonly Counter<long> _tokens;
    private readonly Counter<long> _streams;
    private readonly Counter<long> _keyRefusals;
    private readonly Histogram<double> _duration;
    private readonly Histogram<double> _firstToken;

    public GatewayMetrics(IMeterFactory meters, IFleetVitals vitals, RoutingStatistics statistics, RequestTally tally, TimeProvider time,
        ProcessLateness lateness, ApiKeyStore keys, TelemetryOptions options)
    {
        AccessLog = options.AccessLog is { } sink ? new AccessLog(sink, time) : null;
        _tally = tally;
        _time = time;
        var meter = meters.Create(MetricNames.Meter);
        _requests = meter.CreateCounter<long>("skein.requests", "{request}", "Requests ended, by operation and outcome.");
        _tokens = meter.CreateCounter<long>("skein.tokens", "{token}", "Tokens of prompts (input) and answers (output).");
        _duration = meter.CreateHistogram("gen_ai.server.request.duration", "s", "Time from a request's arrival to its last byte.", null, DurationBuckets);
        _firstToken = meter.CreateHistogram(
            "gen_ai.server.time_to_first_token", "s", "Time from a request's arrival to its first token.", null, FirstTokenBuckets);
        _keyRefusals = meter.CreateCounter<long>("skein.key.refused", "{request}", "Requests refused because of their API key, by reason.");
        _streams = meter.CreateCounter<long>("skein.streams", "{stream}", "Streams started, by resume tier.");
        meter.CreateObservableCounter("skein.failovers", () => statistics.FailoversByName().Select(item => Measure(item.Count, "reason", item.Reason)),
            "{failover}", "Changes of replica during a stream, by reason.");
        meter.CreateObservableCounter("skein.hedges",
            () => new[] { Measure(statistics.Hedges, "outcome", "asked"), Measure(statistics.HedgesWon, "outcome", "won") },
            "{hedge}", "Second attempts for a late first token, and those that won.");
        meter.CreateObservableCounter("skein.frames.late", () => statistics.LateFrames, "{frame}", "Frames dropped because their attempt had been given up.");
        meter.CreateObservableCounter("skein.process.stalls", () => lateness.Stalls, "{stall}", "Times in which this process did not run.");
        meter.CreateObservableCounter(
            "skein.process.stall_seconds", () => lateness.Total.TotalSeconds, null, "Seconds in which this process did not run; no replica is blamed for it.");
        meter.CreateObservableGauge("skein.queue.depth", () => Queues(vitals), "{request}", "Requests that wait for a slot, by model.");
        meter.CreateObservableCounter(
            "skein.key.requests", () => keys.Uses.Select(use => Measure(use.Requests, "key", use.Name)), "{request}", "Requests admitted, by API key.");
        meter.CreateObservableCounter(
            "skein.key.tokens", () => keys.Uses.Select(use => Measure(use.Tokens, "key", use.Name)), "{token}", "Prompt and completion tokens, by API key.");
        meter.CreateObservableGauge("skein.sessions", () => statistics.Sessions, "{session}", "Sessions that run or wait.");
        meter.CreateObservableGauge("skein.journals", () => statistics.JournalBytes, "By", "Memory of the journals that failovers resume from.");
        meter.CreateObservableGauge("skein.members", () => Members(vitals), "{member}", "Members known to this gateway, by role and state.");
        meter.CreateObservableCounter("skein.membership.dropped", () => vitals.Dropped().Select(item => Measure(item.Count, "cause", item.Cause)),
            "{packet}", "Gossip packets dropped unread, by cause.");
        meter.CreateObservableGauge("skein.breaker.state", () => vitals.Breakers().Select(item => Measure(item.Level, MetricNames.Replica, item.Replica)),
            null, "Circuit breaker of a replica: 0 closed, 1 half-open, 2 open.");
        meter.CreateObservableCounter(
            "skein.breaker.ejections", () => vitals.Breakers().Select(item => Measure(item.Ejections, MetricNames.Replica, item.Replica)),
            "{ejection}", "How often the circuit breaker of a replica opened.");
    }

    internal RequestTally Tally => _tally;

    /// <summary>Null: there is none.</summary>
    internal AccessLog? AccessLog { get; }

    /// <param name="operation">Name of the operation in metrics.</param>
    /// <param name="requestId">Id of the request; empty: it was refused before it was read.</param>
    public RequestMeasurement Begin(string operation, string requestId = "") => new(this, _time, operation, requestId);

    /// <summary>Adds 0 to every counter, because an exporter does not show a counter before its first use.</summary>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (var tier in Enum.GetValues<ResumeTier>())
            CountStreams(tier, 0);
        foreach (var reason in KeyRefusals.All)
            _keyRefusals.Add(0, new KeyValuePair<string, object?>("reason", reason));
        foreach (var operation in new[] { MetricNames.EmbeddingsOperation, MetricNames.PassThroughOperation })
        {
            foreach (var outcome in RequestOutcomes.All.Distinct())
                Count(operation, outcome, 0);
        }
        foreach (var operation in new[] { MetricNames.ChatOperation, MetricNames.CompletionOperation, MetricNames.UnreadOperation })
        {
            foreach (var outcome in RequestOutcomes.All.Distinct())
                Count(operation, outcome, 0);
            _tokens.Add(0, new(MetricNames.Operation, operation), new(MetricNames.TokenType, "input"));
            _tokens.Add(0, new(MetricNames.Operation, operation), new(MetricNames.TokenType, "output"));
        }
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>A request was refused before it was read.</summary>
    /// <param name="key">Name of its key; null: it has none that is valid.</param>
    /// <param name="reason">One of <see cref="KeyRefusals"/>.</param>
    /// <param name="path">What it asked for: the client's own text.</param>
    /// <param name="client">Address of the peer; null: it has none.</param>
    internal void KeyRefused(string requestId, string? key, string reason, string path, IPAddress? client)
    {
        _keyRefusals.Add(1, new KeyValuePair<string, object?>("reason", reason));
        AccessLog?.Write(
            new AccessEntry(requestId, Operation: null, key, null, [], 0, 0, 0, null, null, TimeSpan.Zero, reason) { Path = path, Client = client });
    }

    internal void CountStreams(ResumeTier tier, int streams)
    {
        if (tier.ToWireName() is { } name)
            _streams.Add(streams, new KeyValuePair<string, object?>("resume_tier", name));
    }

    internal void FirstToken(TimeSpan elapsed, string operation, string model)
    {
        _tally.FirstToken.Add(elapsed);
        _firstToken.Record(
            elapsed.TotalSeconds, new(MetricNames.Operation, operation), new(MetricNames.Provider, MetricNames.ProviderName),
            new(MetricNames.ResponseModel, model));
    }

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
            tags.Add("error.type", outcome);
        tags.Add(MetricNames.Provider, MetricNames.ProviderName);
        _duration.Record(elapsed.TotalSeconds, tags);
        _tally.Count(outcome);
        Count(operation, outcome, 1); // last: when it changes, the other metrics already have
    }

    private void Count(string operation, string outcome, int requests) =>
        _requests.Add(requests, new(MetricNames.Operation, operation), new("outcome", outcome));

    private void CountTokens(long tokens, string type, TagList tags)
    {
        tags.Add(MetricNames.TokenType, type);
        _tokens.Add(tokens, tags);
    }

    private static Measurement<T> Measure<T>(T value, string attribute, string attributeValue)
        where T : struct => new(value, new KeyValuePair<string, object?>(attribute, attributeValue));

    private static IEnumerable<Measurement<int>> Queues(IFleetVitals vitals) =>
        vitals.Queues().Select(queue => Measure(queue.Waiters, MetricNames.ResponseModel, queue.Model)).DefaultIfEmpty(new Measurement<int>(0));

    private static IEnumerable<Measurement<int>> Members(IFleetVitals vitals)
    {
        var counts = vitals.Members().ToDictionary(count => (count.Role, count.State), count => count.Count);
        return from role in new[] { Roles.Gateway, Roles.Replica }
               from state in States
               select new Measurement<int>(counts.GetValueOrDefault((role, state)), new("role", role), new("state", state));
    }
}

/// <summary>Why a request is refused because of its API key.</summary>
internal static class KeyRefusals
{
    public const string MissingOrWrong = "key_missing_or_wrong";
    public const string NotAdmin = "key_not_admin";
    public const string MetricsOnly = "key_for_metrics";

    public static string[] All => [MissingOrWrong, NotAdmin, MetricsOnly];
}

/// <summary>Names that several metrics use. Those under <c>gen_ai</c> are OpenTelemetry's, whose conventions are not stable yet.</summary>
internal static class MetricNames
{
    public const string Meter = "Skein.Gateway";

    public const string Operation = "gen_ai.operation.name";
    public const string ChatOperation = "chat";
    public const string CompletionOperation = "text_completion";

    public const string EmbeddingsOperation = "embeddings";

    /// <summary>Any other call that is passed through to an engine.</summary>
    public const string PassThroughOperation = "pass_through";

    /// <summary>A gRPC request that was refused before it was read: it may have been a chat or a completion.</summary>
    public const string UnreadOperation = "generate_content";

    /// <summary>The model that answered. Never the name in a client's request: the number of those is unbounded.</summary>
    public const string ResponseModel = "gen_ai.response.model";

    public const string TokenType = "gen_ai.token.type";

    /// <summary>Who answers clients: always this gateway, whatever server is behind it.</summary>
    public const string Provider = "gen_ai.provider.name";
    public const string ProviderName = "skein";

    /// <summary>Name of a replica in the fleet.</summary>
    public const string Replica = "replica";
}

/// <summary>State of the fleet, read at each collection of metrics. Thread-safe; answers from memory; does not throw. Counts never fall.</summary>
internal interface IFleetVitals
{
    /// <summary>Requests that wait now, by known model.</summary>
    IEnumerable<(string Model, int Waiters)> Queues();

    /// <summary>Members now. The role is from <c>Roles</c>; the state is alive, suspect, dead or left.</summary>
    IEnumerable<(string Role, string State, int Count)> Members();

    /// <summary>Gossip packets dropped, by the name of a <c>DropCause</c>, including causes that never occurred.</summary>
    IEnumerable<(string Cause, long Count)> Dropped();

    /// <summary>Live replicas and upstreams: slots, those that this gateway uses, and whether it takes no new work. Every name once.</summary>
    IEnumerable<(string Replica, int Slots, int Leased, bool Draining)> Replicas();

    /// <summary>Share of the KV cache in use, 0 to 1, of live replicas and upstreams that report it. Every name once.</summary>
    IEnumerable<(string Replica, double Share)> KvUsed();

    /// <summary>Circuit breakers of live replicas: 0 closed, 1 half-open, 2 open; ejections since the generation started.</summary>
    IEnumerable<(string Replica, int Level, long Ejections)> Breakers();
}
