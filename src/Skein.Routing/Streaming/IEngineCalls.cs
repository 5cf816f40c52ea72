namespace Skein.Routing.Streaming;

/// <summary>Passes calls that are not generation to engines, such as embeddings. Every API uses it.</summary>
public interface IEngineCalls
{
    /// <summary>
    /// Waits for a slot of a replica that serves the model, and for the head of its answer. Until that has come, a lost call is made again elsewhere.
    /// </summary>
    /// <param name="request">Checked; not changed by the caller from now on.</param>
    /// <exception cref="FaultException">No replica can serve the call, or the engine answered with an error.</exception>
    /// <exception cref="OperationCanceledException">The caller cancelled.</exception>
    Task<IEngineCall> StartAsync(InvokeRequest request, CancellationToken cancellationToken);
}

/// <summary>A call whose answer has begun. Read by one reader; disposing it stops what still runs and frees its slot.</summary>
public interface IEngineCall : IAsyncDisposable
{
    /// <summary>Name of the replica that answers, as clients see it.</summary>
    string Replica { get; }

    /// <summary>Attempts that were made, this one included.</summary>
    int Attempts { get; }

    /// <summary>Time that it waited for slots.</summary>
    TimeSpan Waited => TimeSpan.Zero;

    InvokeStart Start { get; }

    /// <summary>The next part of the answer's body; null at its end.</summary>
    /// <exception cref="FaultException">The answer was lost.</exception>
    ValueTask<ReadOnlyMemory<byte>?> ReadAsync();
}
