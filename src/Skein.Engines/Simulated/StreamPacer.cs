namespace Skein.Engines.Simulated;

/// <summary>Waits as long as a real engine takes. Not safe for concurrent use.</summary>
internal interface IStreamPacer : IDisposable
{
    /// <summary>Waits until that many tokens are read, for an answer of at most that many.</summary>
    ValueTask ReadAsync(int tokens, int answerTokens, CancellationToken cancellationToken);

    /// <summary>Waits for the step that makes the token.</summary>
    ValueTask StepAsync(int index, CancellationToken cancellationToken);
}

/// <summary>Waits for the steps of a batch.</summary>
internal sealed class BatchPacer(SimulatedBatch batch) : IStreamPacer
{
    private SimulatedBatch.Sequence? _sequence;

    public async ValueTask ReadAsync(int tokens, int answerTokens, CancellationToken cancellationToken)
    {
        _sequence?.Dispose();
        _sequence = batch.Add(tokens, Math.Max(1, answerTokens));
        await _sequence.NextAsync(cancellationToken);
    }

    public ValueTask StepAsync(int index, CancellationToken cancellationToken) => new(_sequence!.NextAsync(cancellationToken));

    public void Dispose() => _sequence?.Dispose();
}

/// <summary>
/// Waits as long as a real engine takes to read the prompt and between tokens. Each step counts from the time at which the step before was due, not from the
/// time at which its timer fired, so that late timers do not lower the rate. Not safe for concurrent use.
/// </summary>
/// <param name="promptKey">Makes the jitter of one request differ from another's.</param>
internal sealed class StreamPacer(SimulatedEngineOptions options, TimeProvider time, ulong promptKey) : IStreamPacer
{
    // How far a delayed stream (slow reader, stopped process) may catch up in one burst.
    private static readonly TimeSpan MostCatchUp = TimeSpan.FromMilliseconds(100);

    private readonly ulong _jitterKey = SplitMix.Mix(promptKey, 0);
    private readonly long _start = time.GetTimestamp();
    private TimeSpan _due;

    public ValueTask ReadAsync(int tokens, int answerTokens, CancellationToken cancellationToken)
    {
        _due = time.GetElapsedTime(_start);
        return options.PrefillTokensPerSecond == 0 ? ValueTask.CompletedTask : WaitAsync(tokens / options.PrefillTokensPerSecond, cancellationToken);
    }

    public ValueTask StepAsync(int index, CancellationToken cancellationToken)
    {
        if (options.TokensPerSecond == 0)
            return ValueTask.CompletedTask;
        var jitter = ((2 * SplitMix.ToUnit(SplitMix.Mix(_jitterKey, (ulong)index))) - 1) * options.Jitter;
        return WaitAsync((1 + jitter) / options.TokensPerSecond, cancellationToken);
    }

    public void Dispose()
    {
    }

    private ValueTask WaitAsync(double seconds, CancellationToken cancellationToken)
    {
        var now = time.GetElapsedTime(_start);
        _due += TimeSpan.FromSeconds(seconds);
        if (_due <= now)
        {
            _due = _due < now - MostCatchUp ? now - MostCatchUp : _due;
            return ValueTask.CompletedTask;
        }

        // Timers count whole milliseconds: rounded up, a token is never early.
        var milliseconds = Math.Ceiling((_due - now).TotalMilliseconds);
        return new ValueTask(Task.Delay(TimeSpan.FromMilliseconds(milliseconds), time, cancellationToken));
    }
}
