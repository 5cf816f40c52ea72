namespace Skein.Serving;

/// <summary>What a tick of the watch over the engine is to do.</summary>
internal enum LivenessAction
{
    /// <summary>Nothing: the engine gave a sign of life, or has nothing to do.</summary>
    Rest,

    /// <summary>Ask it for a sign of life.</summary>
    Ask,

    /// <summary>It gave none for too long.</summary>
    GiveUp,
}

/// <summary>
/// Decides when a silent engine is asked, and when it is given up. It counts ticks, not time: a process that was held up itself has fewer of them, and
/// blames nobody. Ticks come from one task, signs of life from any.
/// </summary>
internal sealed class EngineLivenessTracker
{
    /// <summary>Questions in a row, one per tick, that may stay without an answer while no stream says anything.</summary>
    public const int MostUnanswered = 3;

    private bool _hasSpoken;
    private int _unanswered;

    /// <summary>A stream said something, or a question was answered.</summary>
    public void Spoke()
    {
        // Called for every token of every stream: mostly a read of what all of them only read.
        if (!Volatile.Read(ref _hasSpoken))
        {
            Volatile.Write(ref _hasSpoken, true);
        }
    }

    /// <param name="isBusy">Whether anything runs on the engine.</param>
    public LivenessAction Tick(bool isBusy)
    {
        if (Interlocked.Exchange(ref _hasSpoken, false) || !isBusy)
        {
            _unanswered = 0;
            return LivenessAction.Rest;
        }

        if (_unanswered == MostUnanswered)
        {
            return LivenessAction.GiveUp;
        }

        _unanswered++;
        return LivenessAction.Ask;
    }
}
