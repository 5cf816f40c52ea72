using Skein.Protocol.V1;

namespace Skein.Gateway.Api.Http;

/// <summary>Headers of answers (HTTP) and metadata (gRPC).</summary>
public static class SkeinHeaders
{
    /// <summary>Id of the request: the client's own where valid (1 to 128 characters of visible ASCII), else made here.</summary>
    public const string RequestId = "x-request-id";

    /// <summary>Member name of the replica that serves (choice 0).</summary>
    public const string Replica = "x-skein-replica";

    /// <summary>Attempts so far, all choices together.</summary>
    public const string Attempts = "x-skein-attempts";

    /// <summary>Resume tier of this request: <c>exact</c>, <c>tokens</c>, <c>text</c> or <c>none</c>.</summary>
    public const string ResumeTier = "x-skein-resume-tier";

    /// <summary>Failovers in mid-stream, as <see cref="FailoverReport"/> writes them. gRPC trailer only; HTTP has an SSE comment.</summary>
    public const string Failovers = "x-skein-failovers";

    /// <summary>What happens when the replica is lost in mid-stream: <c>exact</c>, <c>best-effort</c> (default) or <c>never</c>.</summary>
    public const string Failover = "x-skein-failover";

    /// <summary>Priority class, -8 to 8, lower is sooner. Default 0.</summary>
    public const string Priority = "x-skein-priority";

    /// <summary><c>1</c>: a second replica is asked when the first token is late, within the gateway's budget. Default <c>0</c>.</summary>
    public const string Hedge = "x-skein-hedge";

    internal static string? Name(ResumeTier tier) => tier switch
    {
        Protocol.V1.ResumeTier.Exact => "exact",
        Protocol.V1.ResumeTier.Tokens => "tokens",
        Protocol.V1.ResumeTier.Text => "text",
        Protocol.V1.ResumeTier.None => "none",
        _ => null,
    };
}
