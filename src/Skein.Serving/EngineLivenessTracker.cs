namespace Skein.Serving;

internal enum LivenessAction
{
    /// <summary>A stream received a frame, a check was answered, or no stream runs.</summary>
    Rest,
    Ask,

    /// <summary>Treat the engine as frozen.</summary>
    GiveUp,
}

/// <summary>
/// Decides when a silent engine is checked, and when it counts as frozen. It counts ticks, not time: a process that was suspended itself had fewer ticks, so it
/// does not treat the engine as frozen. One task calls <see cref="Tick"/>; any thread may call <see cref="Spoke"/>.
/// </summary>
internal sealed class EngineLivenessTracker
{
    /// <summary>Checks in a row, one per tick, that may stay unanswered while no stream receives a frame.</summary>
    public const int MostUnanswered = 3;

    private bool _hasSpoken;
    private int _unanswered;

    /// <summary>A stream received a frame, or a check was answered.</summary>
    public void Spoke()
    {
        // Called for every token of every stream: a shared read is cheaper than a write.
        if (!Volatile.Read(ref _hasSpoken))
            Volatile.Write(ref _hasSpoken, true);
    }

    public LivenessAction Tick(bool isBusy)
    {
        if (Interlocked.Exchange(ref _hasSpoken, false) || !isBusy)
        {
            _unanswered = 0;
            return LivenessAction.Rest;
        }

        if (_unanswered == MostUnanswered)
            return LivenessAction.GiveUp;

        _unanswered++;
        return LivenessAction.Ask;
    }
}
