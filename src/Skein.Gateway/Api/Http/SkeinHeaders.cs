namespace Skein.Gateway.Api.Http;

/// <summary>Names of Skein's headers: HTTP headers, and metadata over gRPC.</summary>
public static class SkeinHeaders
{
    /// <summary>In and out: id of the request. The client's own if it is valid (1 to 128 characters of visible ASCII), else a random one.</summary>
    public const string RequestId = "x-request-id";

    /// <summary>Out: member name of the replica that serves choice 0.</summary>
    public const string Replica = "x-skein-replica";

    /// <summary>Out: number of attempts so far, over all choices.</summary>
    public const string Attempts = "x-skein-attempts";

    /// <summary>Out: resume tier of the request: <c>exact</c>, <c>tokens</c>, <c>text</c> or <c>none</c>.</summary>
    public const string ResumeTier = "x-skein-resume-tier";

    /// <summary>Out: failovers during the stream, as written by <see cref="FailoverReport"/>. A gRPC trailer; over HTTP it is an SSE comment.</summary>
    public const string Failovers = "x-skein-failovers";

    /// <summary>In: what to do when the replica is lost during the stream: <c>exact</c>, <c>best-effort</c> (default) or <c>never</c>.</summary>
    public const string Failover = "x-skein-failover";

    /// <summary>In: priority class, -8 to 8; lower is served first. Default 0.</summary>
    public const string Priority = "x-skein-priority";

    /// <summary>In: <c>1</c> sends the request to a second replica when the first token is late, within the gateway's budget. Default <c>0</c>.</summary>
    public const string Hedge = "x-skein-hedge";
}
