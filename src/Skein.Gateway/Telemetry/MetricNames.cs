namespace Skein.Gateway.Telemetry;

/// <summary>
/// Names of the gateway's metrics, attributes and attribute values. <see cref="GatewayMetrics"/> describes the metrics. Names under <c>gen_ai</c> and
/// <c>error</c> are OpenTelemetry's, whose conventions are not stable yet.
/// </summary>
internal static class MetricNames
{
    public const string Meter = "Skein.Gateway";

    // Metrics
    public const string RequestDuration = "gen_ai.server.request.duration";
    public const string TimeToFirstToken = "gen_ai.server.time_to_first_token";
    public const string Requests = "skein.requests";
    public const string Tokens = "skein.tokens";
    public const string Failovers = "skein.failovers";
    public const string Streams = "skein.streams";
    public const string Hedges = "skein.hedges";
    public const string LateFrames = "skein.frames.late";
    public const string QueueDepth = "skein.queue.depth";
    public const string RequestBodies = "skein.request.bodies";
    public const string Sessions = "skein.sessions";
    public const string JournalMemory = "skein.journals";
    public const string Members = "skein.members";
    public const string MembershipDropped = "skein.membership.dropped";
    public const string BreakerState = "skein.breaker.state";
    public const string BreakerEjections = "skein.breaker.ejections";

    // Attributes, and the values of the operation
    public const string Operation = "gen_ai.operation.name";
    public const string ChatOperation = "chat";
    public const string CompletionOperation = "text_completion";

    /// <summary>A gRPC request that was refused before it was read: it may have been a chat or a completion.</summary>
    public const string UnreadOperation = "generate_content";

    /// <summary>The model that answered. Never the name in a client's request: the number of those is unbounded.</summary>
    public const string ResponseModel = "gen_ai.response.model";

    public const string TokenType = "gen_ai.token.type";
    public const string ErrorType = "error.type";
    public const string Outcome = "outcome";
    public const string ResumeTier = "resume_tier";
    public const string Reason = "reason";
    public const string Cause = "cause";
    public const string Replica = "replica";
    public const string Role = "role";
    public const string State = "state";
}
