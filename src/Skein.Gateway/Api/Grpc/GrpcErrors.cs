using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Skein.Gateway.Api.Http;
using Status = Google.Rpc.Status;

namespace Skein.Gateway.Api.Grpc;

/// <summary>Errors as gRPC statuses with google.rpc.ErrorInfo (reason: the error code of the HTTP APIs) and google.rpc.RetryInfo.</summary>
internal static class GrpcErrors
{
    /// <param name="error">A <see cref="RequestRefusedException"/> or a <see cref="FaultException"/>.</param>
    public static RpcException From(Exception error)
    {
        var fault = error as FaultException;
        var client = fault?.Fault.ToClientError();
        var status = new Status { Code = (int)(client?.Grpc ?? StatusCode.InvalidArgument), Message = fault?.Engine?.Message ?? error.Message };
        var info = new ErrorInfo { Domain = FaultTable.Domain, Reason = client?.Code ?? ((RequestRefusedException)error).Code };
        EngineErrorMetadata.Write(fault?.Engine, info.Metadata);
        EngineErrorMetadata.WriteParam(fault?.Param ?? (error as RequestRefusedException)?.Field, info.Metadata);
        status.Details.Add(Any.Pack(info));
        if ((fault?.Engine?.RetryAfter ?? fault?.RetryAfter) is { } wait)
            status.Details.Add(Any.Pack(new RetryInfo { RetryDelay = Duration.FromTimeSpan(wait) }));
        return status.ToRpcException();
    }
}
