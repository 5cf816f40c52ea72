namespace Skein.Serving.Grpc;

/// <summary>
/// The frames of one attempt between its engine and its connection. Frames that are ready at the same time are merged into few. The engine pauses while the
/// queue is full. One writer, one reader.
/// </summary>
internal abstract class FrameQueue
{
    private const int MostFrames = 16;
    private const int MostBytes = 256 << 10;

    private readonly Queue<GenerateFrame> _frames = new();
    private GenerateFrame? _tail;
    private int _bytes;
    private TaskCompletionSource? _space;

    /// <summary>Guards the queue, and the derived class's state.</summary>
    protected Lock Gate { get; } = new();

    /// <summary>Read under <see cref="Gate"/>.</summary>
    protected bool IsEmpty => _frames.Count == 0;

    protected async Task PumpAsync(EngineAttempt attempt, CancellationToken cancellationToken)
    {
        await foreach (var frame in attempt.ReadAsync(cancellationToken))
        {
            var bytes = SizeOf(frame);
            while (!TryWrite(frame, bytes, out var space))
                await space.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Bytes that a frame counts in the queue: its encoded size except for a few bytes, and cheaper to compute.</summary>
    protected virtual int SizeOf(GenerateFrame frame)
    {
        var bytes = frame.Text.Length + frame.RawDelta.Length + (frame.TokenIds.Count * sizeof(uint));
        return frame.Start is null && frame.Logprobs.Count == 0 ? bytes : bytes + frame.CalculateSize();
    }

    /// <summary>Called under <see cref="Gate"/> after a frame was queued.</summary>
    protected abstract void OnQueued();

    protected GenerateFrame? Dequeue()
    {
        if (!_frames.TryDequeue(out var frame))
            return null;

        if (IsEmpty)
        {
            (_tail, _bytes) = (null, 0);
        }
        else
        {
            _bytes -= SizeOf(frame);
        }

        _space?.SetResult();
        _space = null;
        return frame;
    }

    /// <summary>Drops the frames. Called under <see cref="Gate"/>.</summary>
    protected void Clear()
    {
        while (Dequeue() is not null)
        {
            // Dequeue wakes the writer.
        }
    }

    private bool TryWrite(GenerateFrame frame, int bytes, out Task space)
    {
        space = Task.CompletedTask;
        lock (Gate)
        {
            var fits = IsEmpty || _bytes + bytes <= MostBytes;
            if (fits && _tail is not null && FrameMerger.TryAppend(_tail, frame))
            {
                _bytes += bytes;
                return true;
            }

            if (fits && _frames.Count < MostFrames)
            {
                _frames.Enqueue(_tail = frame);
                _bytes += bytes;
                OnQueued();
                return true;
            }

            _space ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            space = _space.Task;
            return false;
        }
    }
}
