using Google.Protobuf;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Keys;
using Skein.Gateway.Telemetry;

namespace Skein.Gateway.Api.Grpc;

/// <summary>Serves <c>Inference</c> to clients. Frames are forwarded as the session returns them. Thread-safe.</summary>
[BindServiceMethod(typeof(CheckedMessages), nameof(CheckedMessages.Bind))]
internal sealed class InferenceGateway(
    IGenerationSessions sessions, IEngineCalls calls, IModelCatalog catalog, ApiOptions options, RequestMemoryBudget bodies, TimeProvider time,
    GatewayMetrics metrics)
    : Inference.InferenceBase
{
    public const string GenerateMethod = "/skein.v1.Inference/Generate";

    /// <summary>Unflushed frames at which the stream is flushed although more frames are ready.</summary>
    private const int MaxUnflushedFrames = 64;

    private static readonly WriteOptions Unflushed = new(WriteFlags.BufferHint);

    public override Task Generate(GenerateRequest request, IServerStreamWriter<GenerateFrame> responseStream, ServerCallContext context)
    {
        var operation = request.PromptCase is GenerateRequest.PromptOneofCase.Chat ? MetricNames.ChatOperation : MetricNames.CompletionOperation;
        request.RequestId = Identify(request.RequestId, context);
        return RunAsync(request, request.RequestId, operation, context, async measurement =>
        {
            GenerateRequestCheck.Check(request);
            request.StreamToolCalls |= options.StreamToolCalls;
            SkeinHeaders.Read(request, context.RequestHeaders.GetValue);
            measurement.TraceTo(request);
            var grant = context.GetHttpContext().Features.Get<KeyGrant>();
            KeyGrant.Apply(grant, request);
            measurement.ChargeTo(grant, request.Model);
            await RelayAsync(request, responseStream, context, measurement);
        });
    }

    public override Task Invoke(InvokeRequest request, IServerStreamWriter<InvokeFrame> responseStream, ServerCallContext context)
    {
        request.RequestId = Identify(request.RequestId, context);
        return RunAsync(request, request.RequestId, MetricNames.PassThroughOperation, context, async measurement =>
        {
            if (SkeinHeaders.ReadPriority(context.RequestHeaders.GetValue) is { } priority)
                request.Priority = priority;
            if (SkeinHeaders.ReadDeadline(context.RequestHeaders.GetValue) is { } deadline)
                request.DeadlineMs = deadline;
            InvokeRequestCheck.Check(request, options.PassThrough);
            (request.TraceParent, request.TraceState) = SkeinHeaders.ReadTrace(context.RequestHeaders.GetValue);
            measurement.TraceTo(request);
            var grant = context.GetHttpContext().Features.Get<KeyGrant>();
            request.Priority = KeyGrant.PriorityOf(grant, request.Priority);
            measurement.ChargeTo(grant, request.Model);
            await using var call = await calls.StartAsync(request, context.CancellationToken);
            measurement.Follow(call);
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken);
            var headers = new Metadata { { SkeinHeaders.RequestId, request.RequestId } };
            SkeinHeaders.Write(call.Attempts, call.Replica, headers, static (metadata, name, value) => metadata.Add(name, value));
            await context.WriteResponseHeadersAsync(headers);
            await WriteAsync(responseStream, new InvokeFrame { Start = call.Start }, stop);
            while (await call.ReadAsync() is { } part)
                await WriteAsync(responseStream, new InvokeFrame { Body = UnsafeByteOperations.UnsafeWrap(part) }, stop);
        });
    }

    /// <summary>The id of a request: the client's own if it is valid, else a new one.</summary>
    private static string Identify(string requestId, ServerCallContext context)
    {
        var id = VisibleText.RequestId(requestId.Length > 0 ? requestId : context.RequestHeaders.GetValue(SkeinHeaders.RequestId));
        context.ResponseTrailers.Add(SkeinHeaders.RequestId, id);
        return id;
    }

    private async Task RunAsync(
        IMessage request, string requestId, string operation, ServerCallContext context, Func<RequestMeasurement, Task> serve)
    {
        var measurement = metrics.Begin(operation, requestId);
        if (RequestTrace.IsOn)
        {
            var (parent, state) = SkeinHeaders.ReadTrace(context.RequestHeaders.GetValue);
            measurement.BeginTrace(parent, state);
        }
        using var share = bodies.Open();
        try
        {
            share.GrowTo(request.CalculateSize()); // the size of a compressed message is only known now
            await serve(measurement);
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
        new DescribeResponse { Engine = Protocol.Roles.Gateway, Models = { catalog.List().Select(model => model.Description) }, Load = catalog.Load() });

    public override Task<ContinueResponse> Continue(ContinueRequest request, ServerCallContext context) =>
        throw OfReplicas("Continue", "a gateway continues lost answers itself");

    public override Task Bus(IAsyncStreamReader<BusOrders> requestStream, IServerStreamWriter<BusFrames> responseStream, ServerCallContext context) =>
        throw OfReplicas("Bus", "clients use Generate");

    private static RpcException OfReplicas(string method, string instead) =>
        new(new Status(StatusCode.Unimplemented, $"{method} is what gateways call on replicas, and this is a gateway: {instead}"));

    private async Task RelayAsync(
        GenerateRequest request, IServerStreamWriter<GenerateFrame> output, ServerCallContext context, RequestMeasurement measurement)
    {
        request.N = Math.Max(1, request.N);
        var hasSeveralChoices = request.N > 1;
        await using var session = sessions.Start(request);
        measurement.Follow(session);
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

    private async ValueTask WriteAsync<TFrame>(IServerStreamWriter<TFrame> output, TFrame frame, CancellationTokenSource stop)
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
