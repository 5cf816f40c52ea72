using Grpc.Core;
using Grpc.Core.Interceptors;
using Microsoft.Extensions.Logging;

namespace Skein.Gateway.Api.Grpc;

/// <summary>
/// Logs what a method of any service here fails with unforeseen, and tells the client where to look. A message that cannot be read gets to no method:
/// it is its sender's failure, and not logged. Thread-safe.
/// </summary>
internal sealed partial class FailureLog(ILogger<FailureLog> logger) : Interceptor
{
    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            return await continuation(request, context);
        }
        catch (Exception e) when (IsFailure(e, context))
        {
            throw Failure(e, context);
        }
    }

    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context, ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            await continuation(request, responseStream, context);
        }
        catch (Exception e) when (IsFailure(e, context))
        {
            throw Failure(e, context);
        }
    }

    private static bool IsFailure(Exception error, ServerCallContext context) => error is not RpcException && !context.CancellationToken.IsCancellationRequested;

    private RpcException Failure(Exception error, ServerCallContext context)
    {
        Log.Failed(logger, context.Method, error);
        return new RpcException(new Status(StatusCode.Internal, $"the gateway failed in {context.Method}; its log tells more"));
    }

    private static partial class Log
    {
        [LoggerMessage(111, LogLevel.Error, "{Method} failed")]
        public static partial void Failed(ILogger logger, string method, Exception exception);
    }
}
