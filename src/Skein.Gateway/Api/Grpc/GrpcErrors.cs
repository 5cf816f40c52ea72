using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using Skein.Gateway.Api.Http;
using Status = Google.Rpc.Status;

namespace Skein.Gateway.Api.Grpc;

/// <summary>
/// Errors as gRPC statuses, with google.rpc.ErrorInfo (reason: the error code of the HTTP APIs; domain: <c>skein</c>) and, if a retry may help,
/// google.rpc.RetryInfo.
/// </summary>
internal static class GrpcErrors
{
    public static RpcException From(RequestRefusedException refused) =>
        Make(StatusCode.InvalidArgument, refused.Code, refused.Message, retryAfter: null);

    public static RpcException From(FaultException error)
    {
        var face = error.Fault.ToClientError();
        return Make(face.Grpc, face.Code, error.Message, error.RetryAfter);
    }

    private static RpcException Make(StatusCode code, string reason, string message, TimeSpan? retryAfter)
    {
        var status = new Status { Code = (int)code, Message = message };
        status.Details.Add(Any.Pack(new ErrorInfo { Domain = FaultTable.Domain, Reason = reason }));
        if (retryAfter is { } wait)
            status.Details.Add(Any.Pack(new RetryInfo { RetryDelay = Duration.FromTimeSpan(wait) }));
        return status.ToRpcException();
    }
}
