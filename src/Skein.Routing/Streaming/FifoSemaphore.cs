using System.Threading.Channels;

namespace Skein.Routing.Streaming;

/// <summary>
/// A semaphore that serves waiters in the order of their arrival. Thread-safe. <see cref="SemaphoreSlim"/> resumes cancelled waiters in the thread pool:
/// simulated runs would differ.
/// </summary>
internal sealed class FifoSemaphore
{
    private readonly Channel<Place> _free = Channel.CreateUnbounded<Place>();

    /// <param name="places">How many may be inside at a time; at least 1.</param>
    public FifoSemaphore(int places)
    {
        for (var i = 0; i < places; i++)
            _free.Writer.TryWrite(new Place(_free.Writer));
    }

    /// <summary>Enters if a place is free; disposing the result, once, gives it back. Null if none is.</summary>
    public IDisposable? TryEnter() => _free.Reader.TryRead(out var place) ? place : null;

    /// <summary>Waits for a place; disposing the result, once, gives it back.</summary>
    /// <exception cref="OperationCanceledException">Cancelled while waiting.</exception>
    public async ValueTask<IDisposable> EnterAsync(CancellationToken cancellationToken) => await _free.Reader.ReadAsync(cancellationToken);

    private sealed class Place(ChannelWriter<Place> free) : IDisposable
    {
        public void Dispose() => free.TryWrite(this);
    }
}
