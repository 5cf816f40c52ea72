namespace Skein.Routing.Streaming;

/// <summary>Why a session ended in an error. Each is one error code of the APIs.</summary>
public enum SessionError
{
    /// <summary>A field of the request is wrong, says the replica. HTTP 400 <c>invalid_request_error</c>, gRPC INVALID_ARGUMENT.</summary>
    InvalidRequest,

    /// <summary>Prompt and answer do not fit. HTTP 400 <c>context_length_exceeded</c>, gRPC FAILED_PRECONDITION.</summary>
    ContextLengthExceeded,

    /// <summary>No member ever offered the model. HTTP 404 <c>model_not_found</c>, gRPC NOT_FOUND.</summary>
    ModelNotFound,

    /// <summary>The line is full. HTTP 429 <c>queue_full</c>, gRPC RESOURCE_EXHAUSTED.</summary>
    QueueFull,

    /// <summary>No slot came free in time. HTTP 429 <c>queue_timeout</c>, gRPC RESOURCE_EXHAUSTED.</summary>
    QueueTimeout,

    /// <summary>Nobody can serve the model now. HTTP 503 <c>no_replica</c>, gRPC UNAVAILABLE.</summary>
    NoReplica,

    /// <summary>The gateway holds as many sessions as it may. HTTP 503 <c>too_many_sessions</c>, gRPC UNAVAILABLE.</summary>
    TooManySessions,

    /// <summary>
    /// Attempts were lost and no other could go on. HTTP 502 <c>stream_lost</c> before the first byte, in-band after it; gRPC ABORTED.
    /// </summary>
    StreamLost,

    /// <summary>The client did not read for too long. In-band <c>slow_client</c>; gRPC ABORTED.</summary>
    SlowClient,
}

/// <summary>The one error a session ends with; the message is meant for the client.</summary>
public sealed class SessionException : Exception
{
    /// <summary>Creates the exception.</summary>
    public SessionException(SessionError error, string message, TimeSpan? retryAfter = null)
        : base(message)
    {
        Error = error;
        RetryAfter = retryAfter;
    }

    /// <summary>What kind of end it is.</summary>
    public SessionError Error { get; }

    /// <summary>When asking again may help; null where it never will.</summary>
    public TimeSpan? RetryAfter { get; }
}
