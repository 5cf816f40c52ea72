using Skein.Gateway.Api.Http;
using Skein.Gateway.Keys;
using Skein.Gateway.Telemetry;

namespace Skein.Gateway.Api.Grpc;

/// <summary>Serves <c>Inference</c> to clients. Frames are forwarded as the session returns them. Thread-safe.</summary>
internal sealed class InferenceGateway(
    IGenerationSessions sessions, IModelCatalog catalog, ApiOptions options, RequestMemoryBudget bodies, TimeProvider time, GatewayMetrics metrics)
    : Inference.InferenceBase
{
    public const string GenerateMethod = "/skein.v1.Inference/Generate";

    /// <summary>Unflushed frames at which the stream is flushed although more frames are ready.</summary>
    private const int MaxUnflushedFrames = 64;

    private static readonly WriteOptions Unflushed = new(WriteFlags.BufferHint);

    public override async Task Generate(GenerateRequest request, IServerStreamWriter<GenerateFrame> responseStream, ServerCallContext context)
    {
        var measurement = metrics.Begin(
            request.PromptCase is GenerateRequest.PromptOneofCase.Chat ? MetricNames.ChatOperation : MetricNames.CompletionOperation);
        request.RequestId = VisibleText.RequestId(
            request.RequestId.Length > 0 ? request.RequestId : context.RequestHeaders.GetValue(SkeinHeaders.RequestId));
        context.ResponseTrailers.Add(SkeinHeaders.RequestId, request.RequestId);
        using var share = bodies.Open();
        try
        {
            share.GrowTo(request.CalculateSize()); // the size of a compressed message is only known now
            SkeinHeaders.Read(request, context.RequestHeaders.GetValue);
            GenerateRequestCheck.Check(request);
            measurement.ChargeTo(context.GetHttpContext().Features.Get<KeyGrant>(), request.Model);
            await RelayAsync(request, responseStream, context, measurement);
            measurement.End(RequestOutcomes.Completed);
        }
        catch (Exception e) when (e is RequestRefusedException or FaultException)
        {
            measurement.End(e is FaultException error ? error.Fault.ToClientError().Code : RequestOutcomes.Refused);
            throw GrpcErrors.From(e);
        }
        catch (Exception e) when (e is OperationCanceledException || context.CancellationToken.IsCancellationRequested)
        {
            measurement.End(RequestOutcomes.Cancelled);
            throw new RpcException(new Status(StatusCode.Cancelled, "the client is gone"));
        }
        catch
        {
            measurement.End(ClientError.Internal.Code);
            throw; // FailureLog logs it
        }
    }

    public override Task<DescribeResponse> Describe(DescribeRequest request, ServerCallContext context) => Task.FromResult(
        new DescribeResponse { Engine = Protocol.Roles.Gateway, Models = { catalog.List().Select(model => model.Description) } });

    private async Task RelayAsync(
        GenerateRequest request, IServerStreamWriter<GenerateFrame> output, ServerCallContext context, RequestMeasurement measurement)
    {
        request.N = Math.Max(1, request.N);
        var hasSeveralChoices = request.N > 1;
        await using var session = sessions.Start(request);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken);
        var hasHeaders = false;
        var unflushed = 0;
        while (await session.WaitToReadAsync(context.CancellationToken))
        {
            var hasFrame = session.TryRead(out var frame);
            while (hasFrame)
            {
                measurement.Observe(frame!);
                if (!hasHeaders)
                {
                    hasHeaders = true;
                    var headers = new Metadata { { SkeinHeaders.RequestId, request.RequestId } };
                    SkeinHeaders.Write(session, headers, static (metadata, name, value) => metadata.Add(name, value));
                    await context.WriteResponseHeadersAsync(headers);
                }

                hasFrame = session.TryRead(out var next);
                unflushed = hasFrame && unflushed < MaxUnflushedFrames ? unflushed + 1 : 0;
                output.WriteOptions = unflushed > 0 ? Unflushed : WriteOptions.Default;
                await WriteAsync(output, frame!, stop);
                frame = next;
            }
        }

        if (session.Failovers.Count > 0)
            context.ResponseTrailers.Add(SkeinHeaders.Failovers, FailoverReport.Write(session, hasSeveralChoices));
    }

    private async ValueTask WriteAsync(IServerStreamWriter<GenerateFrame> output, GenerateFrame frame, CancellationTokenSource stop)
    {
        var write = output.WriteAsync(frame, stop.Token);
        if (write.IsCompletedSuccessfully)
            return;
        try
        {
            await write.WaitAsync(options.WriteTimeout, time);
        }
        catch (TimeoutException)
        {
            await stop.CancelAsync();
            await write.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw new FaultException(Fault.SlowClient, $"the client did not read for {options.WriteTimeout.TotalSeconds} s");
        }
    }
}
