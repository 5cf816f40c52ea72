namespace Skein.Routing.Health;

/// <summary>State of a breaker. The numbers are the values of the metric.</summary>
public enum BreakerState
{
    /// <summary>The replica gets work.</summary>
    Closed,

    /// <summary>The replica gets one attempt at a time, which tests whether it works again.</summary>
    HalfOpen,

    /// <summary>The replica gets no request that another replica can serve.</summary>
    Open,
}

/// <summary>What the end of an attempt changed.</summary>
internal enum BreakerVerdict
{
    Unchanged,

    /// <summary>A closed breaker reached its bound: <see cref="CircuitBreaker"/> must open, if the fleet can spare the replica.</summary>
    ShouldOpen,

    /// <summary>The trials succeeded, and the breaker is closed.</summary>
    Recovered,
}

/// <summary>
/// One replica's breaker: closed, open for a time, then half-open for one trial after the other (Nygard, Release It!, 2007). Only attempts
/// that began in its current state count. Not Polly's breaker, because the fleet decides whether a replica may be ejected, under the admission lock
/// and at a given time. Not thread-safe; used under the admission lock.
/// </summary>
/// <param name="health">Replaced options count from the next attempt, and the next opening, on.</param>
internal sealed class CircuitBreaker(LiveHealth health)
{
    /// <summary>More of them would overflow, and no bound is that long.</summary>
    private const int MostDoublings = 30;

    private readonly OutcomeWindow _window = new();
    private int _doublings;
    private TimeSpan _halfOpenAt;
    private int _epoch;
    private int _trials;
    private int _successesInARow;
    private int _failuresInARow;

    public CircuitBreaker(BreakerOptions options)
        : this(new LiveHealth(new HealthOptions { Breaker = options }))
    {
    }

    private BreakerOptions Options => health.Current.Breaker;

    /// <summary>True from the opening until it is closed, including half-open.</summary>
    public bool IsEjected { get; private set; }

    /// <summary>Number of openings so far; a failed trial does not count.</summary>
    public long Ejections { get; private set; }

    /// <summary>Sequence number of its opening among all breakers: the lowest has been ejected longest.</summary>
    public long Opening { get; private set; }

    /// <summary>When it was opened last, without failed trials; null: never.</summary>
    public TimeSpan? OpenedAt { get; private set; }

    public BreakerState StateAt(TimeSpan now) =>
        !IsEjected ? BreakerState.Closed : now < _halfOpenAt ? BreakerState.Open : BreakerState.HalfOpen;

    public bool Allows(TimeSpan now) => !IsEjected || (now >= _halfOpenAt && _trials == 0);

    /// <summary>An attempt begins: returns the epoch for <see cref="End"/>.</summary>
    public int Begin()
    {
        if (IsEjected)
            _trials++;
        return _epoch;
    }

    /// <summary>An attempt ended. Only a finish frame (no fault) and a fault of the engine or of the connection count.</summary>
    public BreakerVerdict End(int epoch, Fault? fault, TimeSpan now)
    {
        if (epoch != _epoch)
            return BreakerVerdict.Unchanged;
        return IsEjected ? EndTrial(fault, now) : Count(fault, now);
    }

    /// <summary>Ejects the replica; <paramref name="opening"/> rises with every opening of any breaker.</summary>
    public void Open(long opening, TimeSpan now)
    {
        Opening = opening;
        Ejections++;
        OpenedAt = now;
        Open(now);
    }

    /// <summary>Closes the breaker without a trial, because the fleet cannot spare the replica. The duration of the next opening is unchanged.</summary>
    public void Spare()
    {
        IsEjected = false;
        BeginEpoch();
    }

    private BreakerVerdict EndTrial(Fault? fault, TimeSpan now)
    {
        _trials--;
        switch (fault?.Class())
        {
            case null when ++_successesInARow >= Options.TrialsToClose:
                _doublings = 0;
                Spare();
                return BreakerVerdict.Recovered;
            case FaultClass.Engine or FaultClass.Connection when StateAt(now) == BreakerState.HalfOpen:
                Open(now);
                break;
            case FaultClass.Engine or FaultClass.Connection:
                _successesInARow = 0;
                break;
        }
        return BreakerVerdict.Unchanged;
    }

    private BreakerVerdict Count(Fault? fault, TimeSpan now)
    {
        var failed = fault?.Class() is FaultClass.Engine or FaultClass.Connection;
        if (!failed && fault is not null)
            return BreakerVerdict.Unchanged;
        _failuresInARow = failed ? _failuresInARow + 1 : 0;
        _window.Add(failed, Options.Window, now);
        return failed && (_failuresInARow >= Options.FailuresInARow || FailsTooOften(now)) ? BreakerVerdict.ShouldOpen : BreakerVerdict.Unchanged;
    }

    private bool FailsTooOften(TimeSpan now)
    {
        (var attempts, var failures) = _window.Sum(now);
        return attempts >= Options.FewestAttempts && failures >= Options.FailureRate * attempts;
    }

    private void Open(TimeSpan now)
    {
        IsEjected = true;
        var doubled = Options.OpenFor * Math.Pow(2, _doublings);
        _halfOpenAt = now + (doubled < Options.LongestOpen ? doubled : Options.LongestOpen);
        _doublings = Math.Min(_doublings + 1, MostDoublings);
        BeginEpoch();
    }

    private void BeginEpoch()
    {
        _epoch++;
        (_trials, _successesInARow, _failuresInARow) = (0, 0, 0);
        _window.Clear();
    }
}
