using Grpc.Core;
using Microsoft.Extensions.Hosting;

namespace Skein.Serving.Grpc;

/// <summary>Serves an <see cref="EngineHost"/> over gRPC.</summary>
internal sealed partial class InferenceService(
    EngineHost host, ReplicaOptions options, TimeProvider time, IHostApplicationLifetime lifetime, ILogger<InferenceService> logger)
    : Inference.InferenceBase
{
    public override async Task Generate(GenerateRequest request, IServerStreamWriter<GenerateFrame> responseStream, ServerCallContext context)
    {
        try
        {
            using var attempt = host.Begin(request);
            using var stream = new GenerateCall(
                request, responseStream, new WriteStallDetector(time, options.WriteTimeout), context.GetHttpContext().Abort, context.CancellationToken);
            var tick = BusSession.HeartbeatInterval / 2;
            await using var ticks = time.CreateTimer(static stream => ((GenerateCall)stream!).Tick(), stream, tick, tick);
            await stream.RunAsync(attempt);
        }
        catch (Exception exception) when (ReplicaStatus.Of(exception, context.CancellationToken) is { } status)
        {
            if (context.CancellationToken.IsCancellationRequested)
                Log.CallerGone(logger, request.RequestId, request.Choice, request.Attempt, exception);

            throw status.ToRpcException();
        }
    }

    public override Task Bus(IAsyncStreamReader<BusOrders> requestStream, IServerStreamWriter<BusFrames> responseStream, ServerCallContext context) =>
        new BusSession(host, responseStream, options, time, context.GetHttpContext().Abort, logger)
            .RunAsync(requestStream, context.CancellationToken, lifetime.ApplicationStopping);

    public override async Task Invoke(InvokeRequest request, IServerStreamWriter<InvokeFrame> responseStream, ServerCallContext context)
    {
        try
        {
            using var call = host.Begin(request);
            await foreach (var frame in call.ReadAsync(context.CancellationToken))
                await responseStream.WriteAsync(frame, context.CancellationToken);
        }
        catch (Exception exception) when (ReplicaStatus.Of(exception, context.CancellationToken) is { } status)
        {
            throw status.ToRpcException();
        }
    }

    public override async Task<DescribeResponse> Describe(DescribeRequest request, ServerCallContext context)
    {
        try
        {
            return await host.DescribeAsync(request, context.CancellationToken);
        }
        catch (Exception exception) when (ReplicaStatus.Of(exception, context.CancellationToken) is { } status)
        {
            throw status.ToRpcException();
        }
    }

    public override Task<ContinueResponse> Continue(ContinueRequest request, ServerCallContext context)
    {
        try
        {
            host.Continue(request);
            return Task.FromResult(new ContinueResponse());
        }
        catch (FaultException refusal)
        {
            throw ReplicaStatus.From(refusal).ToRpcException();
        }
    }

    private static partial class Log
    {
        [LoggerMessage(2002, LogLevel.Debug, "The caller of request {RequestId}, choice {Choice}, attempt {Attempt} is gone")]
        public static partial void CallerGone(ILogger logger, string requestId, uint choice, uint attempt, Exception exception);
    }
}
