using Skein.Protocol.V1;

namespace Skein.Gateway.Api;

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

    internal static string? Name(ResumeTier tier) => tier switch
    {
        Protocol.V1.ResumeTier.Exact => "exact",
        Protocol.V1.ResumeTier.Tokens => "tokens",
        Protocol.V1.ResumeTier.Text => "text",
        Protocol.V1.ResumeTier.None => "none",
        _ => null,
    };
}
