using System.Diagnostics.CodeAnalysis;

namespace Skein.Routing.Streaming;

/// <summary>Lets a few in at a time, in the order they came. Thread-safe.</summary>
/// <param name="places">How many; at least 1.</param>
[SuppressMessage("Design", "CA1001", Justification = "A semaphore that is only awaited has no handle to give back.")]
internal sealed class Turnstile(int places)
{
    private readonly SemaphoreSlim _places = new(places, places);

    /// <summary>Waits for a place; disposing the result, once, gives it back.</summary>
    /// <exception cref="OperationCanceledException">Cancelled while waiting.</exception>
    public async ValueTask<IDisposable> EnterAsync(CancellationToken cancellationToken)
    {
        await _places.WaitAsync(cancellationToken);
        return new Place(_places);
    }

    private sealed class Place(SemaphoreSlim places) : IDisposable
    {
        public void Dispose() => places.Release();
    }
}
