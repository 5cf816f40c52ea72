namespace Skein.Routing.Streaming;

/// <summary>
/// A semaphore with strict first-in-first-out order. Thread-safe. Not <see cref="SemaphoreSlim"/>, whose cancelled waiters continue in the thread pool:
/// a simulated run would not repeat.
/// </summary>
/// <param name="places">How many may be inside at a time; at least 1.</param>
internal sealed class FifoSemaphore(int places)
{
    private readonly Lock _gate = new();
    private readonly Queue<TaskCompletionSource> _waiting = [];
    private int _free = places;

    /// <summary>Enters if a place is free; disposing the result, once, gives it back. Null if none is.</summary>
    public IDisposable? TryEnter()
    {
        lock (_gate)
        {
            if (_free == 0)
                return null;
            _free--;
            return new Place(this);
        }
    }

    /// <summary>Waits for a place; disposing the result, once, gives it back.</summary>
    /// <exception cref="OperationCanceledException">Cancelled while waiting.</exception>
    public async ValueTask<IDisposable> EnterAsync(CancellationToken cancellationToken)
    {
        var turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            if (_free > 0)
            {
                _free--;
                return new Place(this);
            }
            _waiting.Enqueue(turn);
        }
        await using (cancellationToken.UnsafeRegister(static (waiting, token) => ((TaskCompletionSource)waiting!).TrySetCanceled(token), turn))
            await turn.Task;
        return new Place(this);
    }

    private void Leave()
    {
        lock (_gate)
        {
            // Cancelled waiters are skipped.
            while (_waiting.TryDequeue(out var next))
            {
                if (next.TrySetResult())
                    return;
            }
            _free++;
        }
    }

    private sealed class Place(FifoSemaphore of) : IDisposable
    {
        public void Dispose() => of.Leave();
    }
}
