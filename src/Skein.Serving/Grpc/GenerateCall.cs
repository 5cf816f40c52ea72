using Grpc.Core;
using Skein.Protocol.V1;

namespace Skein.Serving.Grpc;

/// <summary>
/// One attempt with a gRPC call of its own. One loop writes the engine's frames and the heartbeats, so that there is never more than one write at a time and
/// no timer per token. Heartbeats may precede the start frame: an engine may take long to read a prompt.
/// </summary>
/// <param name="request">Its attempt and choice mark the heartbeats.</param>
/// <param name="writer">The call.</param>
/// <param name="stalls">Observes every write.</param>
/// <param name="abort">Aborts the call without waiting; <paramref name="callerGone"/> is then cancelled.</param>
/// <param name="callerGone">The caller disconnected, its deadline passed, or the call was aborted.</param>
internal sealed class GenerateCall(
    GenerateRequest request, IServerStreamWriter<GenerateFrame> writer, WriteStallDetector stalls, Action abort, CancellationToken callerGone)
    : FrameQueue, IDisposable
{
    private readonly CancellationTokenSource _stop = CancellationTokenSource.CreateLinkedTokenSource(callerGone);
    private readonly GenerateFrame _heartbeat = new() { Attempt = request.Attempt, Choice = request.Choice };
    private TaskCompletionSource _changed = NewSignal();
    private bool _isBeatDue;
    private bool _isEnded;
    private bool _isDisposed;

    /// <summary>Runs the engine until it has stopped and all its frames are written.</summary>
    /// <exception cref="Exception">As <see cref="EngineAttempt.ReadAsync"/>, after the engine's frames were written; or the write failed.</exception>
    public async Task RunAsync(EngineAttempt attempt)
    {
        // An engine may compute on the calling thread, which must go on to write heartbeats.
        var generating = Task.Run(() => GenerateAsync(attempt), CancellationToken.None);
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
            await generating.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await generating;
    }

    /// <summary>Called twice per heartbeat interval, never concurrently: requests a heartbeat, or aborts a call whose reader has stopped reading.</summary>
    public void Tick()
    {
        var silence = stalls.Tick();
        lock (Gate)
        {
            if (silence == Silence.Quiet)
            {
                _isBeatDue = true;
                OnQueued();
            }
            else if (silence == Silence.Stuck && !_isDisposed)
            {
                // Not after the end: the call's context is reused for other calls.
                abort();
            }
        }
    }

    public void Dispose()
    {
        lock (Gate)
        {
            _isDisposed = true;
        }

        _stop.Dispose();
    }

    protected override void OnQueued() => _changed.TrySetResult();

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private async Task GenerateAsync(EngineAttempt attempt)
    {
        try
        {
            await PumpAsync(attempt, _stop.Token);
        }
        finally
        {
            lock (Gate)
            {
                _isEnded = true;
                OnQueued();
            }
        }
    }

    private async Task WriteAllAsync()
    {
        while (true)
        {
            Task? changed;
            while (Next(out changed) is { } frame)
            {
                stalls.WriteBegins();
                await writer.WriteAsync(frame);
                stalls.WriteEnds();
            }

            if (changed is null)
            {
                return;
            }

            await changed.WaitAsync(_stop.Token);
        }
    }

    /// <summary>The frame to write next.</summary>
    /// <param name="changed">Where there is none: completes when there may be one; null at the end.</param>
    private GenerateFrame? Next(out Task? changed)
    {
        lock (Gate)
        {
            changed = null;
            var frame = Dequeue() ?? (_isBeatDue ? _heartbeat : null);
            _isBeatDue = false;
            if (frame is not null || _isEnded)
            {
                return frame;
            }

            _changed = _changed.Task.IsCompleted ? NewSignal() : _changed;
            changed = _changed.Task;
            return null;
        }
    }
}
