using System.Threading.Channels;

namespace Skein.LinkBench;

/// <summary>The wake-ups of one stream. Wake-ups that arrive while it is not waiting are kept.</summary>
internal sealed class PacedStream : IDisposable
{
    private readonly Channel<bool> _wakeUps = Channel.CreateUnbounded<bool>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });

    /// <returns>False when the stream has ended.</returns>
    public bool Wake() => _wakeUps.Writer.TryWrite(true);

    public async ValueTask NextAsync(CancellationToken cancellationToken)
    {
        using var cancel = cancellationToken.UnsafeRegister(stream => ((PacedStream)stream!).Dispose(), this);
        if (!await _wakeUps.Reader.WaitToReadAsync(CancellationToken.None))
            throw new OperationCanceledException(cancellationToken);
        _wakeUps.Reader.TryRead(out _);
    }

    public void Dispose() => _wakeUps.Writer.TryComplete();
}
