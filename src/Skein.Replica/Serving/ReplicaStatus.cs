using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using Skein.Engines;
using Skein.Protocol.V1;

namespace Skein.Replica.Serving;

/// <summary>Puts a replica's refusals and failures into the status codes and details of <c>inference.proto</c>.</summary>
internal static class ReplicaStatus
{
    // Status and details travel as headers, which have a limit of their own; messages may quote what the caller sent.
    private const int MostMessageChars = 1024;

    public static RpcException NoSlot(LoadReport load) =>
        Create(Code.ResourceExhausted, $"no free slot: {load.Running} of {load.Slots} are in use", new SlotRefusal { Load = load });

    public static RpcException Draining(LoadReport load) =>
        Create(Code.Unavailable, "the replica is draining", Info(ReplicaErrorReasons.Draining), load);

    public static RpcException InvalidRequest(string message) =>
        Create(Code.InvalidArgument, message, Info(ReplicaErrorReasons.InvalidRequest));

    public static RpcException EngineFailed(string message) =>
        Create(Code.Internal, message, Info(ReplicaErrorReasons.EngineFailed));

    public static RpcException From(EngineException exception)
    {
        var (code, reason) = exception.Error switch
        {
            EngineError.InvalidRequest => (Code.InvalidArgument, ReplicaErrorReasons.InvalidRequest),
            EngineError.Unsupported => (Code.InvalidArgument, ReplicaErrorReasons.Unsupported),
            EngineError.ContextLengthExceeded => (Code.FailedPrecondition, ReplicaErrorReasons.ContextLengthExceeded),
            EngineError.ResumeRefused => (Code.FailedPrecondition, ReplicaErrorReasons.ResumeRefused),
            EngineError.ModelNotFound => (Code.NotFound, ReplicaErrorReasons.ModelNotFound),
            _ => (Code.Internal, ReplicaErrorReasons.EngineFailed),
        };
        return Create(code, exception.Message, Info(reason));
    }

    private static ErrorInfo Info(string reason) => new() { Reason = reason, Domain = ReplicaErrorReasons.Domain };

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
