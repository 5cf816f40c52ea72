using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Telemetry;

/// <summary>
/// Names of metrics, attributes and attribute values. Those under <c>gen_ai</c> and <c>error</c> are OpenTelemetry's (still in development
/// there: change them here only); the rest is ours.
/// </summary>
public static class MetricNames
{
    /// <summary>Name of the meter.</summary>
    public const string Meter = "Skein.Gateway";

    /// <summary>Histogram, s: from the request's arrival to its last byte.</summary>
    public const string RequestDuration = "gen_ai.server.request.duration";

    /// <summary>Histogram, s: from the request's arrival to its first token.</summary>
    public const string TimeToFirstToken = "gen_ai.server.time_to_first_token";

    /// <summary>Counter: requests ended, by operation and outcome.</summary>
    public const string Requests = "skein.requests";

    /// <summary>Counter: tokens of prompts (input) and answers (output), by model.</summary>
    public const string Tokens = "skein.tokens";

    /// <summary>Counter: changes of replica in mid-session, by reason.</summary>
    public const string Failovers = "skein.failovers";

    /// <summary>Counter: streams begun, by how well they could be resumed.</summary>
    public const string Streams = "skein.streams";

    /// <summary>Counter: second replicas asked because the first token was late; those that had it first are counted again as won.</summary>
    public const string Hedges = "skein.hedges";

    /// <summary>Counter: frames dropped because their attempt had been given up.</summary>
    public const string LateFrames = "skein.frames.late";

    /// <summary>Gauge: requests that wait for a slot, by model.</summary>
    public const string QueueDepth = "skein.queue.depth";

    /// <summary>Gauge, By: what the bodies of requests hold, over HTTP and gRPC, being read or running.</summary>
    public const string RequestMemoryBudget = "skein.request.bodies";

    /// <summary>Gauge: sessions that run or wait.</summary>
    public const string Sessions = "skein.sessions";

    /// <summary>Gauge, By: what is kept of answers to go on with them elsewhere.</summary>
    public const string JournalMemory = "skein.journals";

    /// <summary>Gauge: members in this gateway's view, by role and state.</summary>
    public const string Members = "skein.members";

    /// <summary>Counter: gossip packets that this gateway dropped unread, by cause.</summary>
    public const string MembershipDropped = "skein.membership.dropped";

    /// <summary>Gauge: circuit breaker of a replica: 0 closed, 1 half-open, 2 open.</summary>
    public const string BreakerState = "skein.breaker.state";

    /// <summary>Counter: how often the circuit breaker of a replica was opened.</summary>
    public const string BreakerEjections = "skein.breaker.ejections";

    /// <summary>Attribute: <see cref="ChatOperation"/>, <see cref="CompletionOperation"/> or <see cref="UnreadOperation"/>.</summary>
    public const string Operation = "gen_ai.operation.name";

    /// <summary>Value of <see cref="Operation"/>: the answer to a chat.</summary>
    public const string ChatOperation = "chat";

    /// <summary>Value of <see cref="Operation"/>: the continuation of a text.</summary>
    public const string CompletionOperation = "text_completion";

    /// <summary>Value of <see cref="Operation"/>: a request over gRPC that was refused before it was read, so that nobody knows which of the two it is.</summary>
    public const string UnreadOperation = "generate_content";

    /// <summary>Attribute: the model that answered. Never what a client merely asked for: that is unbounded.</summary>
    public const string ResponseModel = "gen_ai.response.model";

    /// <summary>Attribute: <c>input</c> or <c>output</c>.</summary>
    public const string TokenType = "gen_ai.token.type";

    /// <summary>Attribute of failed requests: their outcome.</summary>
    public const string ErrorType = "error.type";

    /// <summary>Attribute: how a request ended.</summary>
    public const string Outcome = "outcome";

    /// <summary>Attribute: <c>exact</c>, <c>tokens</c>, <c>text</c> or <c>none</c>.</summary>
    public const string ResumeTier = "resume_tier";

    /// <summary>Attribute: why a replica was lost.</summary>
    public const string Reason = "reason";

    /// <summary>Attribute: why a gossip packet was dropped.</summary>
    public const string Cause = "cause";

    /// <summary>Attribute: member name of a replica.</summary>
    public const string Replica = "replica";

    /// <summary>Attribute: role of a member.</summary>
    public const string Role = "role";

    /// <summary>Attribute: state of a member.</summary>
    public const string State = "state";
}
