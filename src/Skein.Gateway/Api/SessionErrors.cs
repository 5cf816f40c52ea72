using Grpc.Core;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Api;

/// <summary>How one kind of session error looks from outside.</summary>
/// <param name="Http">HTTP status, where nothing was sent yet.</param>
/// <param name="Type">OpenAI's coarse class of error.</param>
/// <param name="Code">The code of every API, and the outcome in metrics.</param>
/// <param name="Grpc">gRPC status.</param>
internal sealed record ErrorMapping(int Http, string Type, string Code, StatusCode Grpc);

/// <summary>The one table from session errors to what clients see.</summary>
internal static class SessionErrors
{
    public const string InvalidRequestType = "invalid_request_error";
    public const string BusyType = "rate_limit_error";
    public const string ServerType = "server_error";

    /// <summary>Said where a refusal asks to come back and the session did not compute when.</summary>
    public static readonly TimeSpan DefaultRetryAfter = TimeSpan.FromSeconds(1);

    public static readonly ErrorMapping Internal = new(500, ServerType, "internal_error", StatusCode.Internal);

    public static ErrorMapping Face(SessionError error) => error switch
    {
        SessionError.InvalidRequest => new(400, InvalidRequestType, "invalid_request_error", StatusCode.InvalidArgument),
        SessionError.ContextLengthExceeded => new(400, InvalidRequestType, "context_length_exceeded", StatusCode.FailedPrecondition),
        SessionError.ModelNotFound => new(404, InvalidRequestType, "model_not_found", StatusCode.NotFound),
        SessionError.QueueFull => new(429, BusyType, "queue_full", StatusCode.ResourceExhausted),
        SessionError.QueueTimeout => new(429, BusyType, "queue_timeout", StatusCode.ResourceExhausted),
        SessionError.NoReplica => new(503, ServerType, "no_replica", StatusCode.Unavailable),
        SessionError.TooManySessions => new(503, ServerType, "too_many_sessions", StatusCode.Unavailable),
        SessionError.StreamLost => new(502, ServerType, "stream_lost", StatusCode.Aborted),
        SessionError.SlowClient => new(408, ServerType, "slow_client", StatusCode.Aborted),
        _ => Internal,
    };

    /// <summary>When to come back; null where asking again will not help.</summary>
    public static TimeSpan? RetryAfter(SessionException error) => Face(error.Error).Http is 429 or 503
        ? error.RetryAfter ?? DefaultRetryAfter
        : error.RetryAfter;
}
