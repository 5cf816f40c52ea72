using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;
using Google.Protobuf.Collections;

namespace Skein.Routing.Streaming;

/// <summary>Buffers frames between branches and the reader, up to a bound at which the branches wait. Many writers, one reader.</summary>
internal sealed class SessionOutput(int choices, StreamingOptions options, TimeProvider time)
{
    /// <summary>Bytes of a frame beside its text: the object and its place in the channel.</summary>
    private const int FrameOverheadBytes = 160;

    /// <summary>Bytes of a log probability beside its token: the object, its list, the bytes' own object.</summary>
    private const int LogprobOverheadBytes = 96;

    private readonly Channel<GenerateFrame> _frames = Channel.CreateUnbounded<GenerateFrame>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Lock _gate = new();
    private long _unreadBytes;
    private int _unfinished = choices;
    private TaskCompletionSource? _halfRead;

    public bool IsFull => Volatile.Read(ref _unreadBytes) >= options.JournalBytes;

    public void Write(GenerateFrame frame)
    {
        Interlocked.Add(ref _unreadBytes, Weight(frame));
        // Fails only after Fail, when no reader is left.
        _frames.Writer.TryWrite(frame);
        if (frame.Finish is not null && Interlocked.Decrement(ref _unfinished) == 0)
            _frames.Writer.TryComplete();
    }

    /// <summary>Ends the output with an error, after the frames written before.</summary>
    /// <returns>False when the output had already ended.</returns>
    public bool Fail(Exception error) => _frames.Writer.TryComplete(error);

    public ValueTask<bool> WaitToReadAsync(CancellationToken cancellationToken) => _frames.Reader.WaitToReadAsync(cancellationToken);

    public bool TryRead([NotNullWhen(true)] out GenerateFrame? frame)
    {
        if (!_frames.Reader.TryRead(out frame))
            return false;
        var left = Interlocked.Add(ref _unreadBytes, -Weight(frame));
        if (Volatile.Read(ref _halfRead) is not null && left < options.JournalBytes / 2)
            ReleaseWriters();
        return true;
    }

    /// <exception cref="FaultException">The reader made no progress for too long.</exception>
    public async Task WaitUntilReadAsync(CancellationToken cancellationToken)
    {
        TaskCompletionSource halfRead;
        lock (_gate)
            halfRead = _halfRead ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        // Checked again now that the reader can see the waiter: its last read may have happened just before.
        if (Volatile.Read(ref _unreadBytes) < options.JournalBytes / 2)
            ReleaseWriters();
        for (long before = long.MaxValue, unread; (unread = Volatile.Read(ref _unreadBytes)) < before; before = unread)
        {
            try
            {
                await halfRead.Task.WaitAsync(options.SlowClient, time, cancellationToken);
                return;
            }
            catch (TimeoutException)
            {
                // A slow reader is allowed as long as it reads something.
            }
        }
        throw new FaultException(
            Fault.SlowClient,
            $"the client left {Volatile.Read(ref _unreadBytes)} bytes unread for {options.SlowClient.TotalSeconds:0.#} s (bound {options.JournalBytes} bytes)");
    }

    private void ReleaseWriters()
    {
        TaskCompletionSource? halfRead;
        lock (_gate)
            (halfRead, _halfRead) = (_halfRead, null);
        halfRead?.TrySetResult();
    }

    private static int Weight(GenerateFrame frame) =>
        FrameOverheadBytes + frame.Text.Length + frame.RawDelta.Length + frame.RawChoice.Length + frame.RawChunk.Length + frame.RawLogprobs.Length
        + (frame.TokenIds.Count * sizeof(uint)) + Weight(frame.Logprobs);

    // By index: the list's enumerator would be allocated, twice for each frame.
    private static int Weight(RepeatedField<TokenLogprob> logprobs)
    {
        var bytes = 0;
        for (var i = 0; i < logprobs.Count; i++)
            bytes += LogprobOverheadBytes + logprobs[i].Token.Length + logprobs[i].Raw.Length + logprobs[i].RawLogprob.Length
                + logprobs[i].RawTop.Length + Weight(logprobs[i].Top);
        return bytes;
    }
}
