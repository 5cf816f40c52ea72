namespace Skein.Routing.Streaming;

/// <summary>Two attempts race for the first token; exactly one wins. Thread-safe.</summary>
internal sealed class FirstTokenRace
{
    private int _winner;

    /// <summary>True for the attempt that claims first, however often it asks.</summary>
    public bool TryWin(int attempt)
    {
        var before = Interlocked.CompareExchange(ref _winner, attempt, 0);
        return before == 0 || before == attempt;
    }
}
