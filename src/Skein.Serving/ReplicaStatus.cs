using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using Skein.Engines;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Serving;

/// <summary>Puts a replica's refusals and failures into the status codes and details of <c>inference.proto</c>.</summary>
internal static class ReplicaStatus
{
    // Status and details travel as headers, which have a limit of their own; messages may quote what the caller sent.
    private const int MostMessageChars = 1024;

    public static RpcException NoSlot(LoadReport load) =>
        Create(Code.ResourceExhausted, $"no free slot: {load.Running} of {load.Slots} are in use", new SlotRefusal { Load = load });

    public static RpcException Draining(LoadReport load) =>
        Create(Code.Unavailable, "the replica is draining", Info(ErrorReasons.Draining), load);

    public static RpcException InvalidRequest(string message) =>
        Create(Code.InvalidArgument, message, Info(ErrorReasons.InvalidRequest));

    public static RpcException EngineFailed(string message) =>
        Create(Code.Internal, message, Info(ErrorReasons.EngineFailed));

    public static RpcException StandbyRefused(Code code, string message) => Create(code, message, Info(ErrorReasons.StandbyRefused));

    public static RpcException From(EngineException exception)
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

    private static RpcException Create(Code code, string message, params ReadOnlySpan<IMessage> details)
    {
        var status = new Google.Rpc.Status
        {
            Code = (int)code,
            Message = message.Length <= MostMessageChars ? message : string.Concat(message.AsSpan(0, MostMessageChars), "…"),
        };
        foreach (var detail in details)
        {
            status.Details.Add(Any.Pack(detail));
        }

        return status.ToRpcException();
    }
}
