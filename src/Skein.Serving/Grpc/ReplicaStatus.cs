using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Skein.Engines;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Serving.Grpc;

/// <summary>Maps a replica's refusals and failures to the status codes and details of <c>inference.proto</c>.</summary>
internal static class ReplicaStatus
{
    // Status and details travel as headers, which have a limit of their own, and a message may quote the caller's input.
    private const int MostMessageChars = 1024;

    /// <summary>The status of an attempt that ended with this exception; null for an exception that only a bug throws.</summary>
    /// <param name="exception">What <see cref="EngineHost"/> or the transport threw.</param>
    /// <param name="callerGone">Whether the caller wants no answer any more.</param>
    public static Status? Of(Exception exception, CancellationToken callerGone) => exception switch
    {
        RefusedException refusal => From(refusal),
        EngineException failure => From(failure),
        _ when callerGone.IsCancellationRequested => Create(Code.Cancelled, "the caller is gone"),
        _ => null,
    };

    /// <summary>The status of a bug. The message reveals nothing but the exception's type.</summary>
    public static Status Internal(Exception exception) => Create(Code.Internal, $"the replica failed: {exception.GetType().Name}");

    public static Status From(RefusedException exception) => exception.Refusal switch
    {
        Refusal.NoSlot => Create(Code.ResourceExhausted, exception.Message, new SlotRefusal { Load = exception.Load }),
        Refusal.Draining => Create(Code.Unavailable, exception.Message, Info(ErrorReasons.Draining), exception.Load!),
        Refusal.InvalidRequest => Create(Code.InvalidArgument, exception.Message, Info(ErrorReasons.InvalidRequest)),
        Refusal.StandbyNotFound => Create(Code.NotFound, exception.Message, Info(ErrorReasons.StandbyRefused)),
        Refusal.StandbyExists => Create(Code.AlreadyExists, exception.Message, Info(ErrorReasons.StandbyRefused)),
        Refusal.StandbyTaken => Create(Code.FailedPrecondition, exception.Message, Info(ErrorReasons.StandbyRefused)),
        // Not DEADLINE_EXCEEDED, which gRPC clients take for their own deadline.
        _ => Create(Code.Aborted, exception.Message, Info(ErrorReasons.StandbyRefused)),
    };

    private static Status From(EngineException exception)
    {
        var (code, reason) = exception.Error switch
        {
            EngineError.InvalidRequest => (Code.InvalidArgument, ErrorReasons.InvalidRequest),
            EngineError.Unsupported => (Code.InvalidArgument, ErrorReasons.Unsupported),
            EngineError.ContextLengthExceeded => (Code.FailedPrecondition, ErrorReasons.ContextLengthExceeded),
            EngineError.ResumeRefused => (Code.FailedPrecondition, ErrorReasons.ResumeRefused),
            EngineError.Unreachable => (Code.Unavailable, ErrorReasons.EngineUnreachable),
            EngineError.Lost => (Code.Unavailable, ErrorReasons.EngineLost),
            EngineError.ModelNotFound => (Code.NotFound, ErrorReasons.ModelNotFound),
            _ => (Code.Internal, ErrorReasons.EngineFailed),
        };
        return Create(code, exception.Message, Info(reason));
    }

    private static ErrorInfo Info(string reason) => new() { Reason = reason, Domain = ErrorReasons.Domain };

    private static Status Create(Code code, string message, params ReadOnlySpan<IMessage> details)
    {
        var status = new Status
        {
            Code = (int)code,
            Message = message.Length <= MostMessageChars ? message : string.Concat(message.AsSpan(0, MostMessageChars), "…"),
        };
        foreach (var detail in details)
        {
            status.Details.Add(Any.Pack(detail));
        }

        return status;
    }
}
