using System.Net.Sockets;
using Google.Rpc;
using RpcStatus = Google.Rpc.Status;

namespace Skein.Gateway.Links;

/// <summary>Maps the end of an attempt, or of the connection under it, to a fault.</summary>
internal static class LinkFaults
{
    public static FaultException From(RpcException error)
    {
        var details = error.GetRpcStatus();
        var kind = OfStatus(error.StatusCode, details) ?? OfConnection(error.Status.DebugException) ?? Fault.EngineFailed;
        return new FaultException(kind, error.Status.Detail, error, details?.GetDetail<SlotRefusal>()?.Load)
        {
            Engine = EngineOf(details), Param = ParamOf(details),
        };
    }

    /// <summary>The fault of an attempt on a bus. Its status is that of a call, but the connection still works.</summary>
    public static FaultException From(RpcStatus status) =>
        new(OfStatus((StatusCode)status.Code, status) ?? Fault.EngineFailed, status.Message, load: status.GetDetail<SlotRefusal>()?.Load)
        {
            Engine = EngineOf(status), Param = ParamOf(status),
        };

    /// <summary>Distinguishes a broken connection from a stream that the replica ended: only the former takes the replica out of service.</summary>
    public static Fault? OfConnection(Exception? exception)
    {
        // Without a wrapper, the exception comes from making the connection: it was refused, took too long, or its channel was closed. Later failures are
        // wrapped.
        if (exception is SocketException or TimeoutException or OperationCanceledException)
            return Fault.Unreachable;
        for (; exception is not null; exception = exception.InnerException)
        {
            switch (exception)
            {
                case HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError }:
                // gRPC's report of a connection that it could not make.
                case SocketException { SocketErrorCode: SocketError.ConnectionRefused or SocketError.HostNotFound }:
                    return Fault.Unreachable;
                case HttpProtocolException { ErrorCode: not 0 }:
                    return null;
                case HttpIOException { HttpRequestError: HttpRequestError.ResponseEnded } or SocketException or IOException:
                    return Fault.ConnectionLost;
            }
        }
        return null;
    }

    private static EngineError? EngineOf(RpcStatus? details) =>
        details?.GetDetail<ErrorInfo>() is { } info && info.Domain == FaultTable.Domain ? EngineErrorMetadata.Read(info.Metadata) : null;

    private static string? ParamOf(RpcStatus? details) =>
        details?.GetDetail<ErrorInfo>() is { } info && info.Domain == FaultTable.Domain ? EngineErrorMetadata.ReadParam(info.Metadata) : null;

    private static Fault? OfStatus(StatusCode code, RpcStatus? details)
    {
        // The status alone does not prove that the replica is full: message limits have it too.
        if (code == StatusCode.ResourceExhausted && details?.GetDetail<SlotRefusal>() is not null)
            return Fault.NoSlot;
        var info = details?.GetDetail<ErrorInfo>();
        // The replica refuses this gateway, whatever the request: another replica may have its key.
        if (code == StatusCode.Unauthenticated && info is null)
            return Fault.Unreachable;
        return FaultTable.FromReplica(code, info?.Domain == FaultTable.Domain ? info.Reason : null);
    }
}
