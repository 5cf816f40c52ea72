using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;

namespace Skein.Serving.Grpc;

/// <summary>Maps a replica's refusals and failures to the status codes and details of <c>inference.proto</c>.</summary>
internal static class ReplicaStatus
{
    // Status and details travel as headers, which have a limit of their own, and a message may quote the caller's input.
    private const int MostMessageChars = 1024;

    /// <summary>The status of an attempt that ended with this exception; null for an exception that only a bug throws.</summary>
    public static Status? Of(Exception exception, CancellationToken callerGone) => exception switch
    {
        FaultException fault => From(fault),
        _ when callerGone.IsCancellationRequested => Create(Code.Cancelled, "the caller is gone"),
        _ => null,
    };

    /// <summary>The status of a bug. The message reveals nothing but the exception's type.</summary>
    public static Status Internal(Exception exception) => Create(Code.Internal, $"the replica failed: {exception.GetType().Name}");

    public static Status From(FaultException exception)
    {
        var row = FaultTable.Of(exception.Fault);
        if (row.Status is null)
            row = FaultTable.Of(Fault.EngineFailed);
        var code = (Code)row.Status!;
        if (row.Fault == Fault.NoSlot)
            return Create(code, exception.Message, new SlotRefusal { Load = exception.Load });
        var info = new ErrorInfo { Reason = row.Reason, Domain = FaultTable.Domain };
        EngineErrorMetadata.Write(exception.Engine, info.Metadata);
        EngineErrorMetadata.WriteParam(exception.Param, info.Metadata);
        return exception.Load is { } load ? Create(code, exception.Message, info, load) : Create(code, exception.Message, info);
    }

    private static Status Create(Code code, string message, params IMessage[] details) => new()
    {
        Code = (int)code,
        Message = message.Length <= MostMessageChars ? message : string.Concat(message.AsSpan(0, MostMessageChars), "…"),
        Details = { details.Select(Any.Pack) },
    };
}
