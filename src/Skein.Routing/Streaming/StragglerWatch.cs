namespace Skein.Routing.Streaming;

/// <summary>
/// Decides when a stream moves because its replica is far slower than another one. One slow step is not enough: the replica and this attempt
/// must both be slow at two checks in a row, and enough tokens must be left for the move to pay. Not thread-safe.
/// </summary>
internal sealed class StragglerWatch(SessionServices services, GenerateRequest request)
{
    private static readonly TimeSpan CheckPeriod = TimeSpan.FromMilliseconds(500);

    /// <summary>A move costs a prefill and a slot: it must gain at least this much.</summary>
    private static readonly TimeSpan MinimumGain = TimeSpan.FromSeconds(2);

    /// <summary>Tokens assumed to be left if the request sets no bound.</summary>
    private const int TokensLeftUnknown = 256;

    private long _checkedAt;
    private int _slowChecks;
    private bool _moved;

    public void Begin()
    {
        _checkedAt = services.Time.GetTimestamp();
        _slowChecks = 0;
    }

    /// <summary>Checks at most twice a second; otherwise costs one timestamp.</summary>
    public bool IsWorthMoving(Attempt current, int nextIndex)
    {
        if (_moved || services.Options.StragglerFactor <= 0 || services.Time.GetElapsedTime(_checkedAt) < CheckPeriod)
            return false;
        _checkedAt = services.Time.GetTimestamp();
        _slowChecks = Gain(current, nextIndex) >= MinimumGain ? _slowChecks + 1 : 0;
        if (_slowChecks < 2 || !services.Retries.TrySpend())
            return false;
        // Once per stream, so that it does not move back and forth.
        _moved = true;
        return true;
    }

    private TimeSpan Gain(Attempt current, int nextIndex)
    {
        var own = current.Lease.Replica;
        var best = TimeSpan.MaxValue;
        var now = services.Time.GetElapsedTime(0);
        foreach (var other in services.Fleet.Current.Serving(request.Model))
        {
            // A replica that was fast before may be slow now, as all of a busy machine's are.
            if (other != own && other.TakesWork && other.Pace.TokenGapNow(now) is { } gap && gap > TimeSpan.Zero && gap < best)
                best = gap;
        }
        if (best == TimeSpan.MaxValue)
            return TimeSpan.Zero;
        var tooSlow = best * services.Options.StragglerFactor;
        if (current.Watch.TokenGap < tooSlow || own.Pace.TokenGap < tooSlow)
            return TimeSpan.Zero;
        var left = (request.HasMaxTokens ? (int)request.MaxTokens : nextIndex + TokensLeftUnknown) - nextIndex;
        return (current.Watch.TokenGap - best) * left;
    }
}
