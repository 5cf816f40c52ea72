using System.Collections.Frozen;
using Grpc.Core;
using Skein.Protocol.V1;

namespace Skein.Protocol;

/// <summary>Every end of an attempt or a request except a finish frame. <see cref="FaultTable"/> has the properties of each.</summary>
public enum Fault
{
    /// <summary>No connection to the replica, or to its engine, could be made: the request never reached it.</summary>
    Unreachable,

    /// <summary>The connection to the replica, or to its engine, broke: what ran there is lost.</summary>
    ConnectionLost,

    /// <summary>The replica sent nothing at all, not even a heartbeat, for too long.</summary>
    LinkStall,

    /// <summary>The replica sent heartbeats, but no token, for too long.</summary>
    EngineStall,

    /// <summary>The engine failed; another replica may succeed.</summary>
    EngineFailed,

    /// <summary>The engine did not answer in time, because it is busy or frozen. Another replica may succeed.</summary>
    EngineTimedOut,

    /// <summary>The engine refuses work because it is overloaded (429 or 503). Another replica may accept it.</summary>
    EngineBusy,

    /// <summary>The engine refuses the key of its gateway or replica (401 or 403): the operator must correct it. Another replica may serve.</summary>
    EngineKeyRefused,

    /// <summary>The stream ended without a finish frame.</summary>
    NoFinish,

    /// <summary>The frames broke the protocol: a gap, a repeat, a wrong start.</summary>
    ProtocolError,

    /// <summary>The replica is draining.</summary>
    Draining,

    /// <summary>The replica does not serve the model; as the end of a request: no member ever offered it.</summary>
    ModelNotFound,

    /// <summary>The engine cannot resume from this journal: the fingerprint differs, or ids and text disagree.</summary>
    ResumeRefused,

    /// <summary>The replica has no standby attempt under these names.</summary>
    StandbyNotFound,

    /// <summary>The replica already has a standby attempt under these names.</summary>
    StandbyExists,

    /// <summary>The standby attempt was continued or given up before.</summary>
    StandbyTaken,

    /// <summary>The standby attempt was not continued in time.</summary>
    StandbyExpired,

    /// <summary>Another replica was far faster: it had the first token sooner, or took the stream over.</summary>
    Straggler,

    /// <summary>The replica has no free slot, by its own load report.</summary>
    NoSlot,

    /// <summary>The gateway's queue for the model is full.</summary>
    QueueFull,

    /// <summary>No slot became free in time.</summary>
    QueueTimeout,

    /// <summary>No live replica can serve the request now.</summary>
    NoReplica,

    /// <summary>The gateway is at its bound of sessions, or of their memory.</summary>
    TooManySessions,

    /// <summary>The client's API key has reached one of its limits.</summary>
    KeyLimit,

    /// <summary>The client's API key does not allow the model.</summary>
    KeyForbidsModel,

    /// <summary>A field of the request is wrong. The message names the field, its value and what is allowed.</summary>
    InvalidRequest,

    /// <summary>The engine cannot do what the request asks for.</summary>
    Unsupported,

    /// <summary>Prompt and answer do not fit into the model's context.</summary>
    ContextLengthExceeded,

    /// <summary>The client disconnected, or the gateway gave the attempt up.</summary>
    Cancelled,

    /// <summary>The answer was not complete within the time that the client allowed for it.</summary>
    DeadlineExceeded,

    /// <summary>The client did not read for too long.</summary>
    SlowClient,

    /// <summary>Attempts were lost and no other could continue the stream.</summary>
    StreamLost,

    /// <summary>The gateway itself failed.</summary>
    Internal,
}

/// <summary>What causes a fault: decides whether the request is retried elsewhere and what counts against the replica.</summary>
public enum FaultClass
{
    /// <summary>The request: it ends, and no other replica is asked.</summary>
    Request,

    /// <summary>Lack of capacity: the request waits, or the client retries later.</summary>
    Capacity,

    /// <summary>The connection: the whole replica is left out until it answers again.</summary>
    Connection,

    /// <summary>The engine: counts against the replica's breaker, and a retry costs retry budget.</summary>
    Engine,

    /// <summary>The state of the replica: it works, but cannot take this request now.</summary>
    ReplicaState,

    /// <summary>The client: its request ends.</summary>
    Client,

    /// <summary>The gateway: the request ends.</summary>
    Gateway,
}

/// <summary>The error that a client receives.</summary>
/// <param name="Http">HTTP status, where nothing was sent yet.</param>
/// <param name="Type">OpenAI's coarse class of error.</param>
/// <param name="Code">The code in every API, the reason in gRPC's ErrorInfo, and the outcome in metrics.</param>
public sealed record ClientError(int Http, string Type, string Code, StatusCode Grpc)
{
    /// <summary>OpenAI's class of errors that the client can correct.</summary>
    public const string InvalidRequestType = "invalid_request_error";

    /// <summary>OpenAI's class of errors for which a later retry may succeed.</summary>
    public const string BusyType = "rate_limit_error";

    /// <summary>OpenAI's class of errors that are not the client's.</summary>
    public const string ServerType = "server_error";

    public static ClientError Internal { get; } = new(500, ServerType, "internal_error", StatusCode.Internal);

    /// <summary>True when the gateway or its replicas are responsible, lack of capacity included. A client over the limits of its key is not.</summary>
    public bool IsFailure => Http >= 500 || (Http == 429 && !IsOfKey);

    /// <summary>Whether the limits of the client's own key are the reason.</summary>
    public bool IsOfKey { get; init; }

    internal static ClientError Invalid { get; } = new(400, InvalidRequestType, "invalid_request_error", StatusCode.InvalidArgument);

    internal static ClientError Lost { get; } = new(502, ServerType, "stream_lost", StatusCode.Aborted);
}

/// <summary>The properties of one fault.</summary>
/// <param name="Name">Name in metrics, logs and failover reports. Faults between which these make no difference share one.</param>
/// <param name="Client">The error that a client receives when a request ends with it.</param>
/// <param name="Status">gRPC status in which a replica sends it to a gateway; null: it is sent as <see cref="Fault.EngineFailed"/>.</param>
/// <param name="Reason">
/// <c>google.rpc.ErrorInfo.reason</c> beside that status; null: another detail identifies the fault. Part of the wire: never renamed.
/// </param>
/// <param name="MayBePoison">Whether the request itself may have caused the end of the attempt.</param>
public sealed record FaultInfo(
    Fault Fault, string Name, FaultClass Class, ClientError Client, StatusCode? Status = null, string? Reason = null, bool MayBePoison = false);

/// <summary>The one table of faults: between engine and replica, replica and gateway, gateway and client, in metrics and in health.</summary>
public static class FaultTable
{
    /// <summary>Domain of the reasons in <c>google.rpc.ErrorInfo</c>.</summary>
    public const string Domain = "skein";

    private const string StandbyReason = "HOLD_REFUSED";

    private static readonly FaultInfo[] Rows =
    [
        new(Fault.Unreachable, "unreachable", FaultClass.Connection, ClientError.Lost, StatusCode.Unavailable, "ENGINE_UNREACHABLE"),
        new(Fault.ConnectionLost, "connection_lost", FaultClass.Connection, ClientError.Lost, StatusCode.Unavailable, "ENGINE_LOST", MayBePoison: true),
        new(Fault.LinkStall, "link_stall", FaultClass.Connection, ClientError.Lost, MayBePoison: true),
        new(Fault.EngineStall, "engine_stall", FaultClass.Engine, ClientError.Lost, MayBePoison: true),
        new(Fault.EngineFailed, "engine_error", FaultClass.Engine, ClientError.Lost, StatusCode.Internal, "ENGINE_FAILED", MayBePoison: true),
        new(Fault.EngineTimedOut, "engine_error", FaultClass.Engine, ClientError.Lost, MayBePoison: true),
        new(Fault.EngineBusy, "engine_busy", FaultClass.Engine,
            new(503, ClientError.ServerType, "engine_busy", StatusCode.Unavailable), StatusCode.Unavailable, "ENGINE_BUSY"),
        new(Fault.EngineKeyRefused, "engine_key_refused", FaultClass.Engine,
            new(502, ClientError.ServerType, "engine_key_refused", StatusCode.Internal), StatusCode.Internal, "ENGINE_KEY_REFUSED"),
        new(Fault.NoFinish, "no_finish", FaultClass.Engine, ClientError.Lost, MayBePoison: true),
        new(Fault.ProtocolError, "protocol_error", FaultClass.Engine, ClientError.Lost, MayBePoison: true),
        new(Fault.Draining, "draining", FaultClass.ReplicaState, ClientError.Lost, StatusCode.Unavailable, "DRAINING"),
        new(Fault.ModelNotFound, "model_gone", FaultClass.ReplicaState,
            new(404, ClientError.InvalidRequestType, "model_not_found", StatusCode.NotFound), StatusCode.NotFound, "MODEL_NOT_FOUND"),
        new(Fault.ResumeRefused, "resume_refused", FaultClass.ReplicaState, ClientError.Lost, StatusCode.FailedPrecondition, "RESUME_REFUSED"),
        new(Fault.StandbyNotFound, "resume_refused", FaultClass.ReplicaState, ClientError.Lost, StatusCode.NotFound, StandbyReason),
        new(Fault.StandbyExists, "resume_refused", FaultClass.ReplicaState, ClientError.Lost, StatusCode.AlreadyExists, StandbyReason),
        new(Fault.StandbyTaken, "resume_refused", FaultClass.ReplicaState, ClientError.Lost, StatusCode.FailedPrecondition, StandbyReason),
        new(Fault.StandbyExpired, "resume_refused", FaultClass.ReplicaState, ClientError.Lost, StatusCode.Aborted, StandbyReason),
        new(Fault.Straggler, "straggler", FaultClass.ReplicaState, ClientError.Lost, MayBePoison: true),
        new(Fault.NoSlot, "no_slot", FaultClass.Capacity, ClientError.Lost, StatusCode.ResourceExhausted),
        new(Fault.QueueFull, "queue_full", FaultClass.Capacity, new(429, ClientError.BusyType, "queue_full", StatusCode.ResourceExhausted)),
        new(Fault.QueueTimeout, "queue_timeout", FaultClass.Capacity, new(429, ClientError.BusyType, "queue_timeout", StatusCode.ResourceExhausted)),
        new(Fault.NoReplica, "no_replica", FaultClass.Capacity, new(503, ClientError.ServerType, "no_replica", StatusCode.Unavailable)),
        new(Fault.TooManySessions, "too_many_sessions", FaultClass.Capacity, new(503, ClientError.ServerType, "too_many_sessions", StatusCode.Unavailable)),
        new(Fault.KeyLimit, "key_limit", FaultClass.Capacity,
            new(429, ClientError.BusyType, "rate_limit_exceeded", StatusCode.ResourceExhausted) { IsOfKey = true }),
        new(Fault.KeyForbidsModel, "key_forbids_model", FaultClass.Request,
            new(403, ClientError.InvalidRequestType, "model_not_allowed", StatusCode.PermissionDenied)),
        new(Fault.InvalidRequest, "invalid_request", FaultClass.Request, ClientError.Invalid, StatusCode.InvalidArgument, "INVALID_REQUEST"),
        new(Fault.Unsupported, "unsupported", FaultClass.Request, ClientError.Invalid, StatusCode.InvalidArgument, "UNSUPPORTED"),
        new(Fault.ContextLengthExceeded, "context_length_exceeded", FaultClass.Request,
            new(400, ClientError.InvalidRequestType, "context_length_exceeded", StatusCode.FailedPrecondition),
            StatusCode.FailedPrecondition, "CONTEXT_LENGTH_EXCEEDED"),
        new(Fault.Cancelled, "cancelled", FaultClass.Client, new(499, ClientError.InvalidRequestType, "cancelled", StatusCode.Cancelled)),
        new(Fault.DeadlineExceeded, "deadline_exceeded", FaultClass.Client,
            new(504, ClientError.ServerType, "deadline_exceeded", StatusCode.DeadlineExceeded)),
        new(Fault.SlowClient, "slow_client", FaultClass.Client, new(408, ClientError.ServerType, "slow_client", StatusCode.Aborted)),
        new(Fault.StreamLost, "stream_lost", FaultClass.Gateway, ClientError.Lost),
        new(Fault.Internal, "internal_error", FaultClass.Gateway, ClientError.Internal),
    ];

    private static readonly FrozenSet<string> FailureCodes =
        Rows.Where(row => row.Client.IsFailure).Select(row => row.Client.Code).ToFrozenSet(StringComparer.Ordinal);

    /// <summary>All faults, in the order of <see cref="Fault"/>.</summary>
    public static IReadOnlyList<FaultInfo> All => Rows;

    /// <summary>The faults for which an attempt is given up and another one begun.</summary>
    public static IReadOnlyList<Fault> OfAttempts { get; } =
        [.. Rows.Where(row => row.Class is FaultClass.Connection or FaultClass.Engine or FaultClass.ReplicaState).Select(row => row.Fault)];

    public static FaultInfo Of(Fault fault) => Rows[(int)fault];

    public static string ToWireName(this Fault fault) => Of(fault).Name;

    public static FaultClass Class(this Fault fault) => Of(fault).Class;

    public static ClientError ToClientError(this Fault fault) => Of(fault).Client;

    public static bool CostsRetryBudget(this Fault fault) => fault.Class() == FaultClass.Engine;

    /// <summary>True when a client's error code means that the gateway or its replicas are responsible, lack of capacity included.</summary>
    public static bool IsFailureCode(string code) => FailureCodes.Contains(code);

    /// <summary>Reads a replica's status, of any release. Never <see cref="Fault.NoSlot"/>: message limits have its status too.</summary>
    /// <param name="reason">The reason beside it under <see cref="Domain"/>; null where there is none.</param>
    /// <returns>Null if the status does not name the cause.</returns>
    public static Fault? FromReplica(StatusCode status, string? reason)
    {
        if (reason is not null && Rows.FirstOrDefault(row => row.Status == status && string.Equals(row.Reason, reason, StringComparison.Ordinal)) is { } known)
            return known.Fault;
        return status switch
        {
            _ when reason is StandbyReason => Fault.StandbyTaken,
            // Every replica refuses these credentials, as it would refuse an invalid request.
            StatusCode.InvalidArgument or StatusCode.Unauthenticated or StatusCode.PermissionDenied => Fault.InvalidRequest,
            StatusCode.NotFound => Fault.ModelNotFound,
            StatusCode.FailedPrecondition => Fault.ContextLengthExceeded,
            _ => null,
        };
    }
}
