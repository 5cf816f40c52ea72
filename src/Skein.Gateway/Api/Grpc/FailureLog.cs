using Grpc.Core.Interceptors;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.Grpc;

/// <summary>Logs unexpected exceptions of gRPC methods, and gives the client a status that points to the log. Thread-safe.</summary>
internal sealed partial class FailureLog(ILogger<FailureLog> logger) : Interceptor
{
    public override Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation) =>
        LoggedAsync(context, () => continuation(request, context));

    public override Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
        ServerStreamingServerMethod<TRequest, TResponse> continuation) =>
        LoggedAsync(context, async () =>
        {
            await continuation(request, responseStream, context);
            return true;
        });

    private async Task<T> LoggedAsync<T>(ServerCallContext context, Func<Task<T>> method)
    {
        try
        {
            return await method();
        }
        catch (Exception e) when (e is not RpcException && !context.CancellationToken.IsCancellationRequested)
        {
            var requestId = context.ResponseTrailers.GetValue(SkeinHeaders.RequestId);
            Log.Failed(logger, context.Method, requestId, e);
            throw new RpcException(new Status(StatusCode.Internal, requestId is null
                ? $"the gateway failed in {context.Method}; its log tells more"
                : $"the gateway failed; its log tells more about request {requestId}"));
        }
    }

    private static partial class Log
    {
        [LoggerMessage(3011, LogLevel.Error, "{Method} failed (request {RequestId})")]
        public static partial void Failed(ILogger logger, string method, string? requestId, Exception exception);
    }
}
