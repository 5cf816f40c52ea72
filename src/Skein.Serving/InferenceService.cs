using System.Text;
using Grpc.Core;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Skein.Engines;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Serving;

/// <summary>The gRPC service: refuses a request, or gives it a slot and a stream.</summary>
internal sealed partial class InferenceService(
    IInferenceEngine engine,
    SlotTable slots,
    StandbyAttempts holds,
    StreamTicker ticker,
    EngineLivenessMonitor engineWatch,
    ReplicaOptions options,
    TimeProvider time,
    IHostApplicationLifetime lifetime,
    ILogger<InferenceService> logger)
    : Inference.InferenceBase
{
    /// <summary>Longest name that a caller may give itself or its work, in UTF-8.</summary>
    internal const int MostNameBytes = 128;

    public override Task Generate(GenerateRequest request, IServerStreamWriter<GenerateFrame> responseStream, ServerCallContext context) =>
        ServeAsync(request, responseStream, isAlone: true, context.GetHttpContext().Abort, context.CancellationToken);

    public override Task Bus(IAsyncStreamReader<BusOrders> requestStream, IServerStreamWriter<BusFrames> responseStream, ServerCallContext context) =>
        new BusSession(
            attempt => ServeAsync(attempt.Request, attempt, isAlone: false, attempt.Cancel, attempt.Gone),
            responseStream,
            slots,
            options,
            time,
            context.GetHttpContext().Abort,
            logger)
            .RunAsync(requestStream, context.CancellationToken, lifetime.ApplicationStopping);

    public override async Task<DescribeResponse> Describe(DescribeRequest request, ServerCallContext context)
    {
        CheckCaller(request.Caller);
        try
        {
            // Whoever asks wants to know whether work can be sent here: a replica is as good as its engine.
            RequireEngine();
            await engine.CheckAsync(context.CancellationToken);
            var description = await engine.DescribeAsync(context.CancellationToken);
            return new DescribeResponse { Models = { description.Models }, Engine = engine.Kind, Load = slots.Report(request.Caller) };
        }
        catch (FaultException exception)
        {
            throw ReplicaStatus.From(exception);
        }
    }

    public override Task<ContinueResponse> Continue(ContinueRequest request, ServerCallContext context)
    {
        CheckName("request_id", request.RequestId);
        CheckName("session", request.Session);
        holds.Continue(request);
        return Task.FromResult(new ContinueResponse());
    }

    /// <param name="request">From a peer.</param>
    /// <param name="writer">Towards it.</param>
    /// <param name="isAlone">Whether it has a call of its own; on a bus heartbeats and silence are the bus's matter.</param>
    /// <param name="abort">Cuts it off, without waiting; <paramref name="gone"/> follows.</param>
    /// <param name="gone">The caller wants no more.</param>
    private async Task ServeAsync(
        GenerateRequest request, IServerStreamWriter<GenerateFrame> writer, bool isAlone, Action abort, CancellationToken gone)
    {
        Check(request);
        RequireEngine();
        using var lease = Take(request);
        using var held = holds.Add(request);
        var watch = new WriteStallDetector(time, options.WriteTimeout);
        using var stream = new GenerationStream(request, writer, slots, watch, engineWatch, abort, gone);
        if (isAlone)
        {
            ticker.Add(stream);
        }

        try
        {
            await stream.RunAsync(engine, lease, held);
        }
        catch (FaultException exception)
        {
            if (exception.Fault is Fault.EngineFailed or Fault.Unreachable or Fault.ConnectionLost or Fault.EngineTimedOut)
            {
                Log.EngineFailed(logger, request.RequestId, request.Choice, request.Attempt, exception);
            }

            throw ReplicaStatus.From(exception);
        }
        catch (Exception exception) when (gone.IsCancellationRequested)
        {
            Log.CallerGone(logger, request.RequestId, request.Choice, request.Attempt, exception);
            throw new RpcException(new Status(StatusCode.Cancelled, "the caller is gone"));
        }
        finally
        {
            ticker.Remove(stream);
        }
    }

    private void RequireEngine()
    {
        if (engineWatch.IsLost)
        {
            throw ReplicaStatus.From(engineWatch.LostException(wasBegun: false));
        }
    }

    private SlotLease Take(GenerateRequest request) => slots.TryTake(request.Caller, TellsOfLine(request), out var lease) switch
    {
        SlotAnswer.Granted => lease!,
        SlotAnswer.Draining => throw ReplicaStatus.Draining(slots.Report(request.Caller)),
        _ => throw ReplicaStatus.NoSlot(slots.Report(request.Caller)),
    };

    private static QueueReport? TellsOfLine(GenerateRequest request) => request.HasWaitedMs
        ? new QueueReport(
            TimeSpan.FromMilliseconds(request.WaitedMs), request.HasNextWaitedMs ? TimeSpan.FromMilliseconds(request.NextWaitedMs) : null)
        : null;

    private static void Check(GenerateRequest request)
    {
        CheckCaller(request.Caller);
        CheckName("request_id", request.RequestId);
        CheckName("session", request.Session);
    }

    private static void CheckName(string field, string name)
    {
        if (name.Length > MostNameBytes || name.AsSpan().ContainsAnyExceptInRange(' ', '~'))
        {
            throw ReplicaStatus.InvalidRequest(
                $"{field} is {name.Length} characters long or not printable; allowed: at most {MostNameBytes} bytes of printable ASCII");
        }
    }

    private static void CheckCaller(string caller)
    {
        var bytes = Encoding.UTF8.GetByteCount(caller);
        if (bytes > MostNameBytes)
        {
            throw ReplicaStatus.InvalidRequest($"caller is {bytes} bytes long; allowed: at most {MostNameBytes}");
        }
    }

    private static partial class Log
    {
        [LoggerMessage(2001, LogLevel.Warning, "Engine failed in request {RequestId}, choice {Choice}, attempt {Attempt}")]
        public static partial void EngineFailed(ILogger logger, string requestId, uint choice, uint attempt, Exception exception);

        [LoggerMessage(2002, LogLevel.Debug, "Caller of request {RequestId}, choice {Choice}, attempt {Attempt} is gone")]
        public static partial void CallerGone(ILogger logger, string requestId, uint choice, uint attempt, Exception exception);
    }
}
