using System.Threading.Channels;
using Grpc.Core;

namespace Skein.Serving.Grpc;

/// <summary>
/// One attempt with a gRPC call of its own. One loop writes the engine's frames and the heartbeats, so that there is never more than one write at a time and
/// no timer per token. Heartbeats may precede the start frame: an engine may take long to read a prompt.
/// </summary>
/// <param name="abort">Aborts the call without waiting; <paramref name="callerGone"/> is then cancelled.</param>
/// <param name="callerGone">The caller disconnected, its deadline passed, or the call was aborted.</param>
internal sealed class GenerateCall(
    GenerateRequest request, IServerStreamWriter<GenerateFrame> writer, WriteStallDetector stalls, Action abort, CancellationToken callerGone)
    : FrameQueue, IDisposable
{
    private readonly CancellationTokenSource _stop = CancellationTokenSource.CreateLinkedTokenSource(callerGone);
    private readonly GenerateFrame _heartbeat = new() { Attempt = request.Attempt, Choice = request.Choice };
    private readonly Channel<bool> _changed = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { SingleReader = true, FullMode = BoundedChannelFullMode.DropWrite });

    private bool _isBeatDue;
    private bool _isDisposed;

    /// <summary>Runs the engine until it has stopped and all its frames are written.</summary>
    /// <exception cref="Exception">As <see cref="EngineAttempt.ReadAsync"/>, after the engine's frames were written; or the write failed.</exception>
    public async Task RunAsync(EngineAttempt attempt)
    {
        // On another thread: an engine may compute on the calling one, which must write heartbeats.
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

    /// <summary>Called twice per heartbeat interval: requests a heartbeat, or aborts a call whose reader has stopped reading.</summary>
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
            _isDisposed = true;

        _stop.Dispose();
    }

    protected override void OnQueued() => _changed.Writer.TryWrite(true);

    private async Task GenerateAsync(EngineAttempt attempt)
    {
        try
        {
            await PumpAsync(attempt, _stop.Token);
        }
        finally
        {
            _changed.Writer.Complete();
        }
    }

    private async Task WriteAllAsync()
    {
        while (await _changed.Reader.WaitToReadAsync(_stop.Token))
        {
            _changed.Reader.TryRead(out _);
            while (Next() is { } frame)
            {
                stalls.WriteBegins();
                await writer.WriteAsync(frame);
                stalls.WriteEnds();
            }
        }
    }

    private GenerateFrame? Next()
    {
        lock (Gate)
        {
            var frame = Dequeue() ?? (_isBeatDue ? _heartbeat : null);
            _isBeatDue = false;
            return frame;
        }
    }
}
