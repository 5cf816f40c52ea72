using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;

namespace Skein.Gateway.Links.Bus;

/// <summary>
/// One attempt on a bus: its frames that were received and not yet read. The bus's reading loop delivers frames and the session reads them. Either of them
/// or a cancel ends the attempt.
/// </summary>
internal sealed class BusAttempt(TokenBus bus, ulong stream, GenerateRequest request, CancellationToken cancellation) : IDisposable
{
    /// <summary>Most bytes of frames in flight or unread. It bounds the memory of a session that stops reading.</summary>
    public const int WindowBytes = 64 << 10;

    private readonly Channel<ReceivedFrame> _inbox = Channel.CreateUnbounded<ReceivedFrame>(new UnboundedChannelOptions { SingleReader = true });
    private CancellationTokenRegistration _onCancel;
    private int _owedBytes;
    private int _readBytes;
    private bool _heardSinceBeat;
    private volatile bool _beatUnread;
    private bool _isAbandoned;

    public TokenBus Bus => bus;

    public ulong Stream => stream;

    public GenerateRequest Request => request;

    /// <summary>Whether the start was sent. Used by the bus's writing loop only.</summary>
    public bool IsStarted { get; set; }

    /// <summary>The session has stopped reading.</summary>
    public bool IsAbandoned => Volatile.Read(ref _isAbandoned);

    /// <summary>Called once, after the bus has registered the attempt.</summary>
    public void WatchCancellation() =>
        _onCancel = cancellation.UnsafeRegister(static (attempt, token) => ((BusAttempt)attempt!).End(new OperationCanceledException(token)), this);

    /// <summary>False at the clean end.</summary>
    /// <exception cref="FaultException">The attempt ended otherwise.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public ValueTask<bool> WaitToReadAsync() => _inbox.Reader.WaitToReadAsync(CancellationToken.None);

    public bool TryRead([NotNullWhen(true)] out GenerateFrame? frame)
    {
        frame = null;
        if (cancellation.IsCancellationRequested || !_inbox.Reader.TryRead(out var received))
            return false;
        frame = received.Frame;
        if (received.Bytes == 0)
            _beatUnread = false;
        _readBytes += received.Bytes;
        if (_readBytes >= WindowBytes / 2)
        {
            Interlocked.Add(ref _owedBytes, -_readBytes);
            bus.Credit(this, _readBytes);
            _readBytes = 0;
        }
        return true;
    }

    public void Deliver(GenerateFrame frame)
    {
        _heardSinceBeat = true;
        if (Volatile.Read(ref _owedBytes) >= WindowBytes)
        {
            End(new FaultException(Fault.EngineFailed, $"the replica sent more than the {WindowBytes} bytes it had credit for"));
            return;
        }
        var bytes = frame.CalculateSize();
        frame.Stream = 0;
        Interlocked.Add(ref _owedBytes, bytes);
        _inbox.Writer.TryWrite(new ReceivedFrame(frame, bytes));
    }

    /// <summary>Delivers a heartbeat of the bus, unless a frame came since the last one.</summary>
    public void Beat()
    {
        if (!_heardSinceBeat && !_beatUnread)
        {
            _beatUnread = true;
            _inbox.Writer.TryWrite(new ReceivedFrame(new GenerateFrame { Attempt = request.Attempt, Choice = request.Choice }, Bytes: 0));
        }
        _heardSinceBeat = false;
    }

    /// <summary>Ends the attempt, after the frames delivered before. The first end counts.</summary>
    /// <param name="failure">Null: a clean end.</param>
    public void End(Exception? failure) => _inbox.Writer.TryComplete(failure);

    public void Dispose()
    {
        _onCancel.Dispose();
        Volatile.Write(ref _isAbandoned, true);
        bus.Leave(this);
    }

    /// <param name="Bytes">Its share of the window; 0 for a heartbeat.</param>
    private readonly record struct ReceivedFrame(GenerateFrame Frame, int Bytes);
}
