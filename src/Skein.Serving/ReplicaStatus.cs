using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Serving;

/// <summary>Puts a replica's refusals and failures into the status codes and details of <c>inference.proto</c>.</summary>
internal static class ReplicaStatus
{
    // Status and details travel as headers, which have a limit of their own; messages may quote what the caller sent.
    private const int MostMessageChars = 1024;

    public static RpcException NoSlot(LoadReport load) =>
        From(new FaultException(Fault.NoSlot, $"no free slot: {load.Running} of {load.Slots} are in use", load));

    public static RpcException Draining(LoadReport load) => From(new FaultException(Fault.Draining, "the replica is draining", load));

    public static RpcException InvalidRequest(string message) => From(new FaultException(Fault.InvalidRequest, message));

    public static RpcException EngineFailed(string message) => From(new FaultException(Fault.EngineFailed, message));

    public static RpcException From(FaultException exception)
    {
        var row = FaultTable.Of(exception.Fault);
        if (row.Status is null)
            row = FaultTable.Of(Fault.EngineFailed);
        var code = (Code)row.Status!;
        if (row.Fault == Fault.NoSlot)
            return Create(code, exception.Message, new SlotRefusal { Load = exception.Load });
        var info = new ErrorInfo { Reason = row.Reason, Domain = FaultTable.Domain };
        return exception.Load is { } load ? Create(code, exception.Message, info, load) : Create(code, exception.Message, info);
    }

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
