using System.Diagnostics.CodeAnalysis;
using Google.Protobuf;
using Grpc.Core;
using Skein.Protocol.V1;

namespace Skein.Serving;

/// <summary>
/// One attempt on a bus. It holds one frame at most: what the engine says while that frame waits for the bus, or for credit, is joined to
/// it, or waits in the engine's own queue. Thread-safe.
/// </summary>
/// <param name="start">What the gateway asked for.</param>
/// <param name="session">Its bus, told when there is something to send.</param>
[SuppressMessage("Design", "CA1001", Justification = "The source has neither timer nor handle, and a cancel may come at any time.")]
internal sealed class BusStream(BusStart start, BusSession session) : IServerStreamWriter<GenerateFrame>
{
    /// <summary>Longest frame on a bus; it is as much as a gateway's journal takes.</summary>
    public const int MostFrameBytes = 1 << 20;

    private readonly CancellationTokenSource _gone = new();
    private readonly Lock _gate = new();
    private long _creditBytes = start.WindowBytes;
    private GenerateFrame? _pending;
    private int _pendingBytes;
    private TaskCompletionSource? _room;
    private BusEnd? _end;
    private bool _isReady;

    public ulong Stream => start.Stream;

    public GenerateRequest Request => start.Request;

    /// <summary>The gateway wants no more, or its bus is gone.</summary>
    public CancellationToken Gone => _gone.Token;

    /// <summary>Set by the session at once after the start.</summary>
    public Task Running { get; set; } = Task.CompletedTask;

    public WriteOptions? WriteOptions { get; set; }

    /// <summary>Completes when the frame is held, to be sent with the next message.</summary>
    /// <exception cref="RpcException">The frame is too long to be put before everybody else's.</exception>
    public async Task WriteAsync(GenerateFrame message)
    {
        var bytes = message.CalculateSize();
        if (bytes > MostFrameBytes)
        {
            throw ReplicaStatus.EngineFailed($"the engine sent a frame of {bytes} bytes; at most {MostFrameBytes} go over a bus");
        }

        while (!TryHold(message, bytes, out var room))
        {
            await room.WaitAsync(Gone);
        }
    }

    /// <summary>Stops the engine; what is not sent yet is dropped.</summary>
    public void Cancel()
    {
        lock (_gate)
        {
            _pending = null;

            // Told here, but acted upon elsewhere: what an engine does on cancel may take its time, and the bus must go on.
            _ = _gone.CancelAsync();
            GetReady();
        }
    }

    public void AddCredit(uint bytes)
    {
        lock (_gate)
        {
            _creditBytes = Math.Min(_creditBytes + bytes, start.WindowBytes);
            GetReady();
        }
    }

    /// <summary>The last word, behind the frame that may be waiting.</summary>
    /// <param name="status">Null: it ended well.</param>
    public void End(Google.Rpc.Status? status)
    {
        lock (_gate)
        {
            _end = new BusEnd { Stream = Stream };
            if (status is not null)
            {
                _end.Status = status.ToByteString();
            }

            GetReady();
        }
    }

    /// <summary>Puts what is ready into a message. Called by the sending loop.</summary>
    /// <param name="message">Where to.</param>
    /// <param name="bytes">Raised by the size of what was added.</param>
    /// <returns>True when this was the end.</returns>
    public bool TakeInto(BusFrames message, ref int bytes)
    {
        lock (_gate)
        {
            _isReady = false;
            if (_pending is { } frame && _creditBytes > 0)
            {
                frame.Stream = Stream;
                var size = frame.CalculateSize();
                bytes += size;
                _creditBytes -= size;
                message.Frames.Add(frame);
                _pending = null;
                _room?.SetResult();
                _room = null;
            }

            if (_pending is not null || _end is null)
            {
                return false;
            }

            message.Ends.Add(_end);
            return true;
        }
    }

    private bool TryHold(GenerateFrame frame, int bytes, out Task room)
    {
        lock (_gate)
        {
            room = Task.CompletedTask;
            Gone.ThrowIfCancellationRequested();
            if (_pending is null)
            {
                _pending = frame;
                _pendingBytes = bytes;
                GetReady();
                return true;
            }

            if (_pendingBytes + bytes <= MostFrameBytes && FrameMerger.TryAppend(_pending, frame))
            {
                _pendingBytes += bytes;
                return true;
            }

            _room ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            room = _room.Task;
            return false;
        }
    }

    private void GetReady()
    {
        if (!_isReady && ((_pending is not null && _creditBytes > 0) || (_pending is null && _end is not null)))
        {
            _isReady = true;
            session.Ready(this);
        }
    }
}
