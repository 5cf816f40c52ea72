using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Links.Bus;

/// <summary>
/// One attempt on a bus: the frames that came for it and were not read yet. Frames come from the bus's reading loop, reads from the
/// session, the end from either or from whoever cancels.
/// </summary>
internal sealed class BusAttempt : IDisposable
{
    /// <summary>Bytes of frames that may be on their way or unread: what a session that reads nothing for a while costs.</summary>
    public const int WindowBytes = 64 << 10;

    private readonly TokenBus _bus;
    private readonly Channel<ReceivedFrame> _inbox = Channel.CreateUnbounded<ReceivedFrame>(new UnboundedChannelOptions { SingleReader = true });
    private readonly CancellationToken _cancellation;
    private CancellationTokenRegistration _onCancel;
    private int _owedBytes;
    private int _readBytes;
    private bool _heardSinceBeat;
    private volatile bool _beatUnread;
    private bool _isAbandoned;

    public BusAttempt(TokenBus bus, ulong stream, GenerateRequest request, CancellationToken cancellation)
    {
        _bus = bus;
        Stream = stream;
        Request = request;
        _cancellation = cancellation;
    }

    public TokenBus Bus => _bus;

    public ulong Stream { get; }

    public GenerateRequest Request { get; }

    /// <summary>Whether the start was handed to the connection. Touched by the bus's writing loop only.</summary>
    public bool IsStarted { get; set; }

    /// <summary>Nobody reads any more.</summary>
    public bool IsAbandoned => Volatile.Read(ref _isAbandoned);

    /// <summary>Called once, after the attempt is known to its bus.</summary>
    public void WatchCancellation() =>
        _onCancel = _cancellation.UnsafeRegister(static (attempt, token) => ((BusAttempt)attempt!).Fail(new OperationCanceledException(token)), this);

    /// <summary>False at the clean end.</summary>
    /// <exception cref="LinkException">The attempt ended otherwise.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public ValueTask<bool> WaitToReadAsync() => _inbox.Reader.WaitToReadAsync(CancellationToken.None);

    public bool TryRead([NotNullWhen(true)] out GenerateFrame? frame)
    {
        frame = null;
        if (_cancellation.IsCancellationRequested || !_inbox.Reader.TryRead(out var received))
            return false;
        frame = received.Frame;
        if (received.Bytes == 0)
            _beatUnread = false;
        _readBytes += received.Bytes;
        if (_readBytes >= WindowBytes / 2)
        {
            Interlocked.Add(ref _owedBytes, -_readBytes);
            _bus.Credit(this, _readBytes);
            _readBytes = 0;
        }
        return true;
    }

    public void Deliver(GenerateFrame frame)
    {
        _heardSinceBeat = true;
        if (Volatile.Read(ref _owedBytes) >= WindowBytes)
        {
            Fail(new LinkException(LinkError.EngineFailed, $"the replica sent more than the {WindowBytes} bytes it had credit for"));
            return;
        }
        var bytes = frame.CalculateSize();
        frame.Stream = 0;
        Interlocked.Add(ref _owedBytes, bytes);
        _inbox.Writer.TryWrite(new ReceivedFrame(frame, bytes));
    }

    /// <summary>The bus lives: so do those of its attempts that have nothing to say.</summary>
    public void Beat()
    {
        if (!_heardSinceBeat && !_beatUnread)
        {
            _beatUnread = true;
            _inbox.Writer.TryWrite(new ReceivedFrame(new GenerateFrame { Attempt = Request.Attempt, Choice = Request.Choice }, Bytes: 0));
        }
        _heardSinceBeat = false;
    }

    /// <summary>The clean end, behind the frames delivered before.</summary>
    public void Complete() => _inbox.Writer.TryComplete();

    /// <summary>Any other end, behind them too. The first end counts.</summary>
    public void Fail(Exception failure) => _inbox.Writer.TryComplete(failure);

    public void Dispose()
    {
        _onCancel.Dispose();
        Volatile.Write(ref _isAbandoned, true);
        _bus.Leave(this);
    }

    /// <param name="Frame">As it is handed on.</param>
    /// <param name="Bytes">What it took of the window; 0 for a heartbeat.</param>
    private readonly record struct ReceivedFrame(GenerateFrame Frame, int Bytes);
}
