namespace Skein.Engines.Embedded.Generation;

/// <summary>Limits a stream to a number of tokens per second. The k-th token is due k intervals after the first one: delays do not add up.</summary>
/// <param name="tokensPerSecond">0: no limit.</param>
internal sealed class Pace(double tokensPerSecond, TimeProvider time)
{
    private long _start;
    private long _tokens;

    /// <summary>Waits until the next token is due; at least yields to other streams.</summary>
    public async ValueTask WaitAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var wait = TimeSpan.Zero;
        if (tokensPerSecond > 0)
        {
            _start = _tokens == 0 ? time.GetTimestamp() : _start;
            wait = TimeSpan.FromSeconds(_tokens++ / tokensPerSecond) - time.GetElapsedTime(_start);
        }

        if (wait > TimeSpan.Zero)
        {
            await Task.Delay(wait, time, cancellationToken);
        }
        else
        {
            await Task.Yield();
        }
    }
}
