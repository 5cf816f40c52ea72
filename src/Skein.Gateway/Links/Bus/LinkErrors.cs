using System.Net.Http;
using System.Net.Sockets;
using Google.Rpc;
using Grpc.Core;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;
using RpcStatus = Google.Rpc.Status;

namespace Skein.Gateway.Links.Bus;

/// <summary>Classifies the end of an attempt, or of the connection under it.</summary>
internal static class LinkErrors
{
    public static LinkException From(RpcException error)
    {
        var details = error.GetRpcStatus();
        var kind = OfStatus(error.StatusCode, details) ?? OfConnection(error.Status.DebugException) ?? LinkError.EngineFailed;
        return new LinkException(kind, error.Status.Detail, details?.GetDetail<SlotRefusal>()?.Load, error);
    }

    /// <summary>Classifies the end of an attempt on a bus: it has a call's status, but the connection lives.</summary>
    public static LinkException From(RpcStatus status) =>
        new(OfStatus((StatusCode)status.Code, status) ?? LinkError.EngineFailed, status.Message, status.GetDetail<SlotRefusal>()?.Load);

    /// <summary>Distinguishes a broken connection from a stream that the replica ended: only the former takes the replica out.</summary>
    public static LinkError? OfConnection(Exception? exception)
    {
        // Bare, it is an attempt to connect that was refused, took too long, or was given up with its channel; what breaks later comes wrapped.
        if (exception is SocketException or TimeoutException or OperationCanceledException)
            return LinkError.Unreachable;
        for (; exception is not null; exception = exception.InnerException)
        {
            switch (exception)
            {
                case HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError }:
                // As gRPC tells of a connection that it could not make.
                case SocketException { SocketErrorCode: SocketError.ConnectionRefused or SocketError.HostNotFound }:
                    return LinkError.Unreachable;
                case HttpProtocolException { ErrorCode: not 0 }:
                    return null;
                case HttpIOException { HttpRequestError: HttpRequestError.ResponseEnded } or SocketException or IOException:
                    return LinkError.ConnectionLost;
            }
        }
        return null;
    }

    private static LinkError? OfStatus(StatusCode code, RpcStatus? details) => code switch
    {
        _ when HasReason(details, ErrorReasons.StandbyRefused) => LinkError.ResumeRefused,
        // No replica is at fault who says no to the request, or to whom it is sent by.
        StatusCode.InvalidArgument or StatusCode.Unauthenticated or StatusCode.PermissionDenied => LinkError.InvalidRequest,
        StatusCode.NotFound => LinkError.ModelNotFound,
        StatusCode.FailedPrecondition => HasReason(details, ErrorReasons.ResumeRefused) ? LinkError.ResumeRefused : LinkError.ContextLengthExceeded,
        // The status alone is no proof: message limits answer with it too.
        StatusCode.ResourceExhausted when details?.GetDetail<SlotRefusal>() is not null => LinkError.NoSlot,
        StatusCode.Unavailable when HasReason(details, ErrorReasons.Draining) => LinkError.Draining,
        // A replica without its engine is as good as gone: it is left out until its Describe, which asks the engine, answers.
        StatusCode.Unavailable when HasReason(details, ErrorReasons.EngineUnreachable) => LinkError.Unreachable,
        StatusCode.Unavailable when HasReason(details, ErrorReasons.EngineLost) => LinkError.ConnectionLost,
        _ => null,
    };

    private static bool HasReason(RpcStatus? details, string reason) =>
        details?.GetDetail<ErrorInfo>() is { Domain: ErrorReasons.Domain } info && string.Equals(info.Reason, reason, StringComparison.Ordinal);
}
