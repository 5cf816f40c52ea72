using System.Diagnostics.CodeAnalysis;
using Google.Protobuf;

namespace Skein.Serving.Grpc;

/// <summary>One attempt on a bus: its frames wait here for the bus and for credit. Thread-safe.</summary>
[SuppressMessage("Design", "CA1001", Justification = "The source has neither timer nor handle, and a cancel may come at any time.")]
internal sealed class BusStream(BusStart start, BusSession session) : FrameQueue
{
    /// <summary>Longest frame on a bus, in bytes: the default bound of a gateway's journal.</summary>
    public const int MostFrameBytes = 1 << 20;

    private readonly CancellationTokenSource _cancelled = new();
    private long _creditBytes = start.WindowBytes;
    private BusEnd? _end;
    private bool _isReady;

    public ulong Stream => start.Stream;

    /// <summary>The gateway cancelled the attempt, or its bus is gone.</summary>
    public CancellationToken Cancelled => _cancelled.Token;

    public Task Running { get; set; } = Task.CompletedTask;

    public Task RunAsync(EngineAttempt attempt) =>
        // On another thread: an engine may compute on the calling one, which must read the next orders.
        Task.Run(() => PumpAsync(attempt, Cancelled), CancellationToken.None);

    /// <summary>Stops the engine; frames that were not sent are dropped.</summary>
    public void Cancel()
    {
        // Asynchronously: cancelling may run code of the engine, and the bus must not wait for it.
        _ = _cancelled.CancelAsync();
        lock (Gate)
        {
            Clear();
            OnQueued();
        }
    }

    public void AddCredit(uint bytes)
    {
        lock (Gate)
        {
            _creditBytes = Math.Min(_creditBytes + bytes, start.WindowBytes);
            OnQueued();
        }
    }

    /// <summary>Queues the end, behind the frames.</summary>
    /// <param name="status">Null: a clean end.</param>
    public void End(Google.Rpc.Status? status)
    {
        lock (Gate)
        {
            _end = new BusEnd { Stream = Stream };
            if (status is not null)
                _end.Status = status.ToByteString();

            OnQueued();
        }
    }

    /// <summary>Moves what may be sent into a message. Called by the sending loop.</summary>
    /// <param name="bytes">Size of the message so far; raised by what was added.</param>
    /// <returns>True when the end was added.</returns>
    public bool MoveInto(BusFrames message, ref int bytes)
    {
        lock (Gate)
        {
            _isReady = false;
            while (_creditBytes > 0 && bytes < BusSession.MessageBytes && Dequeue() is { } frame)
            {
                frame.Stream = Stream;
                var size = frame.CalculateSize();
                bytes += size;
                _creditBytes -= size;
                message.Frames.Add(frame);
            }

            if (!IsEmpty || _end is null)
            {
                OnQueued();
                return false;
            }

            message.Ends.Add(_end);
            return true;
        }
    }

    protected override int SizeOf(GenerateFrame frame)
    {
        var bytes = base.SizeOf(frame);
        return bytes <= MostFrameBytes
            ? bytes
            : throw new FaultException(Fault.EngineFailed, $"the engine sent a frame of {bytes} bytes; at most {MostFrameBytes} go over a bus");
    }

    protected override void OnQueued()
    {
        if (!_isReady && (IsEmpty ? _end is not null : _creditBytes > 0))
        {
            _isReady = true;
            session.Ready(this);
        }
    }
}
