using System.Threading.Channels;
using Grpc.Core;
using Skein.Engines;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Serving;

/// <summary>
/// One generation on its way to its caller. The engine's side puts frames into a short queue, and so does the ticker with heartbeats; one
/// loop writes them, so that there is never more than one write at a time and no timer per token. Heartbeats may come before the start
/// frame: an engine may take long to read a prompt.
/// </summary>
/// <param name="request">What is generated; every frame carries its attempt and choice.</param>
/// <param name="writer">Towards the caller.</param>
/// <param name="slots">Tells the load, in the first and in the last frame.</param>
/// <param name="watch">Told of every write.</param>
/// <param name="engineWatch">Told of every frame of the engine, and ends the stream when the engine is lost.</param>
/// <param name="abort">Cuts the call off, without waiting; <paramref name="callerGone"/> follows.</param>
/// <param name="callerGone">The caller went away, its deadline passed, or it was cut off.</param>
internal sealed class GenerationStream(
    GenerateRequest request,
    IServerStreamWriter<GenerateFrame> writer,
    SlotTable slots,
    WriteStallDetector watch,
    EngineLivenessMonitor engineWatch,
    Action abort,
    CancellationToken callerGone) : IDisposable
{
    private const int QueuedFrames = 256;

    private readonly CancellationTokenSource _stop = CancellationTokenSource.CreateLinkedTokenSource(callerGone);
    private readonly GenerateFrame _heartbeat = new() { Attempt = request.Attempt, Choice = request.Choice };
    private readonly Channel<GenerateFrame> _queue = Channel.CreateBounded<GenerateFrame>(
        new BoundedChannelOptions(QueuedFrames) { SingleReader = true });

    private readonly Lock _endGate = new();
    private bool _isOver;

    /// <summary>Runs the engine until it has stopped and all it said is written.</summary>
    /// <param name="engine">Its frames are stamped and joined in place.</param>
    /// <param name="lease">Released as soon as the engine has stopped, before the last frame is written.</param>
    /// <param name="held">Tells the engine when to go on; ends with the lease. Null: the engine does not wait.</param>
    /// <exception cref="FaultException">The engine refused or failed, after its frames were written.</exception>
    /// <exception cref="RpcException">The wait is over without a result, after the engine's frames were written.</exception>
    /// <exception cref="Exception">Anything else: the caller is gone.</exception>
    public async Task RunAsync(IInferenceEngine engine, SlotLease lease, StandbyAttempt? held = null)
    {
        // An engine may compute on the thread that asks it; that must not be the one that writes heartbeats.
        var generating = Task.Run(() => GenerateAsync(engine, lease, held), CancellationToken.None);
        try
        {
            await WriteAllAsync();
        }
        catch
        {
            await _stop.CancelAsync();
            throw;
        }
        finally
        {
            await generating;
        }
    }

    /// <summary>Called twice per heartbeat interval, never twice at a time: queues a heartbeat, or ends a stream that nobody reads.</summary>
    public void Tick()
    {
        switch (watch.Tick())
        {
            case Silence.Quiet:
                _queue.Writer.TryWrite(_heartbeat);
                break;
            case Silence.Stuck:
                Abort();
                break;
        }
    }

    public void Dispose()
    {
        lock (_endGate)
        {
            _isOver = true;
        }

        _stop.Dispose();
    }

    // The call's context is used again for other calls: it must not be touched once this one is over.
    private void Abort()
    {
        lock (_endGate)
        {
            if (!_isOver)
            {
                abort();
            }
        }
    }

    private async Task WriteAllAsync()
    {
        var reader = _queue.Reader;
        while (await reader.WaitToReadAsync(_stop.Token))
        {
            while (reader.TryRead(out var frame))
            {
                while (reader.TryPeek(out var next) && FrameMerger.TryAppend(frame, next))
                {
                    reader.TryRead(out _);
                }

                watch.WriteBegins();
                await writer.WriteAsync(frame);
                watch.WriteEnds();
            }
        }
    }

    // Every end of the engine reaches the writing loop through the queue, behind the frames that came before it.
    private async Task GenerateAsync(IInferenceEngine engine, SlotLease lease, StandbyAttempt? held)
    {
        var engineLost = engineWatch.Lost;
        using var either = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token, engineLost);
        try
        {
            GenerateFrame last;
            using (lease)
            using (held)
            {
                last = await QueueUntilFinishAsync(
                    held is null ? engine.GenerateAsync(request, either.Token) : engine.HoldAsync(request, held.ContinuedAsync, either.Token));
            }

            last.Load = slots.Report(request.Caller);
            await QueueAsync(last);
            _queue.Writer.Complete();
        }
        catch (OperationCanceledException) when (engineLost.IsCancellationRequested && !_stop.IsCancellationRequested)
        {
            _queue.Writer.Complete(engineWatch.LostException(wasBegun: true));
        }
        catch (Exception exception) when (exception is FaultException or RpcException || _stop.IsCancellationRequested)
        {
            _queue.Writer.Complete(exception);
        }
        catch (Exception exception)
        {
            _queue.Writer.Complete(new FaultException(Fault.EngineFailed, $"the engine failed: {exception.GetType().Name}", exception));
        }
    }

    // The finish is kept back until the engine has really stopped: who reads it finds the slot free.
    private async Task<GenerateFrame> QueueUntilFinishAsync(IAsyncEnumerable<GenerateFrame> frames)
    {
        var isFirst = true;
        GenerateFrame? last = null;
        await foreach (var frame in frames)
        {
            engineWatch.Spoke();
            if (last is not null || isFirst != frame.Start is not null)
            {
                throw new FaultException(Fault.EngineFailed, "the engine sent frames out of order");
            }

            if (isFirst)
            {
                isFirst = false;
                frame.Load = slots.Report(request.Caller);
            }

            frame.Attempt = request.Attempt;
            frame.Choice = request.Choice;
            if (frame.Finish is not null)
            {
                last = frame;
                continue;
            }

            await QueueAsync(frame);
        }

        return last ?? throw new FaultException(Fault.EngineFailed, "the engine ended without a finish");
    }

    private ValueTask QueueAsync(GenerateFrame frame) =>
        _queue.Writer.TryWrite(frame) ? ValueTask.CompletedTask : _queue.Writer.WriteAsync(frame, _stop.Token);
}
