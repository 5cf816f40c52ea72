namespace Skein.Routing.Admission;

/// <summary>
/// How long an answer uses slots: the time of all slots in use, for each answer that ended. Unlike the mean of the answers that ended it counts those that
/// run: at first only short ones have ended. After so many ends, nothing of the time before counts. Used under the admission lock.
/// </summary>
internal sealed class SlotSeconds
{
    /// <summary>With as many, the mean of times that vary as much as their mean is certain to an eighth.</summary>
    public const int Window = 64;

    /// <summary>Answers that the assumed time counts as, before anything is measured.</summary>
    private const double Assumed = 4;

    /// <summary>Ends after which it counts for nothing.</summary>
    private const double Enough = 32;

    /// <summary>What was used until the last ends, in ticks. Only differences count, so that it may overflow.</summary>
    private readonly long[] _untilEnds = new long[Window];

    private long _used;
    private long _usedBefore;
    private long _usedUntilLast;
    private TimeSpan _changedAt;
    private int _next;

    /// <summary>Slots in use.</summary>
    public int Slots { get; private set; }

    /// <summary>Answers that ended, of those that count.</summary>
    public int Answers { get; private set; }

    public void Change(TimeSpan now, int slots)
    {
        _used = unchecked(_used + (Slots * Math.Max(0, (now - _changedAt).Ticks)));
        _changedAt = now;
        Slots = Math.Max(0, Slots + slots);
    }

    /// <summary>The slot of the last <see cref="Change"/> was that of an answer that is over.</summary>
    public void EndAnswer()
    {
        if (Answers == Window)
            _usedBefore = _untilEnds[_next];
        else
            Answers++;
        _untilEnds[_next] = _usedUntilLast = _used;
        _next = (_next + 1) % Window;
    }

    /// <summary>Slot-seconds for each answer.</summary>
    public double PerAnswer(double assumed)
    {
        var weight = Assumed * Math.Max(0, 1 - (Answers / Enough));
        return (TimeSpan.FromTicks(unchecked(_usedUntilLast - _usedBefore)).TotalSeconds + (weight * assumed)) / (Answers + weight);
    }
}
