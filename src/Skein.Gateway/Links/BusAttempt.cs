using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Links;

/// <summary>
/// One attempt on a bus: the frames that came for it and were not read yet. Frames come from the bus's reading loop, reads from the
/// session, the end from either or from whoever cancels.
/// </summary>
/// <remarks>
/// A session that waits goes on within the bus's reading loop: it journals the frame and hands it to the client's side, which is done in
/// microseconds, while a thread of its own for each token would cost more than all the rest. Ends that are not clean set much more in
/// motion and are handed over to the pool.
/// </remarks>
internal sealed class BusAttempt : IThreadPoolWorkItem, IDisposable
{
    /// <summary>Bytes of frames that may be on their way or unread: what a session that reads nothing for a while costs.</summary>
    public const int WindowBytes = 64 << 10;

    private readonly TokenBus _bus;
    private readonly Channel<GenerateFrame> _inbox = Channel.CreateUnbounded<GenerateFrame>(
        new UnboundedChannelOptions { SingleReader = true, AllowSynchronousContinuations = true });

    private readonly CancellationToken _cancellation;
    private CancellationTokenRegistration _onCancel;
    private Exception? _failure;
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
        if (_cancellation.IsCancellationRequested || !_inbox.Reader.TryRead(out frame))
            return false;
        if (frame.Stream == 0)
        {
            _beatUnread = false;
            return true;
        }
        _readBytes += frame.CalculateSize();
        frame.Stream = 0;
        if (_readBytes >= WindowBytes / 2)
        {
            _bus.Credit(this, _readBytes);
            _readBytes = 0;
        }
        return true;
    }

    public void Deliver(GenerateFrame frame)
    {
        _heardSinceBeat = true;
        _inbox.Writer.TryWrite(frame);
    }

    /// <summary>The bus lives: so do those of its attempts that have nothing to say.</summary>
    public void Beat()
    {
        if (!_heardSinceBeat && !_beatUnread)
        {
            _beatUnread = true;
            _inbox.Writer.TryWrite(new GenerateFrame { Attempt = Request.Attempt, Choice = Request.Choice });
        }
        _heardSinceBeat = false;
    }

    /// <summary>The clean end, behind the frames delivered before.</summary>
    public void Complete() => _inbox.Writer.TryComplete();

    /// <summary>Any other end. The first one counts.</summary>
    public void Fail(Exception failure)
    {
        if (Interlocked.CompareExchange(ref _failure, failure, null) is null)
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    void IThreadPoolWorkItem.Execute() => _inbox.Writer.TryComplete(_failure);

    public void Dispose()
    {
        _onCancel.Dispose();
        Volatile.Write(ref _isAbandoned, true);
        _bus.Leave(this);
    }
}
