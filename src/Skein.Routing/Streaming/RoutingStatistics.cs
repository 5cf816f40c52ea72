namespace Skein.Routing.Streaming;

/// <summary>Counters of sessions since the gateway started. Thread-safe; all but the gauges only rise.</summary>
public sealed class RoutingStatistics
{
    /// <summary>Failovers that are kept for operators.</summary>
    public const int MostKeptFailovers = 64;

    private readonly long[] _failovers = new long[FaultTable.All.Count];
    private readonly Queue<RecentFailover> _recent = new(MostKeptFailovers);
    private long _noted;
    private long _lateFrames;
    private long _hedges;
    private long _hedgesWon;
    private int _sessions;
    private long _journalBytes;

    /// <summary>Frames dropped because their attempt had been given up.</summary>
    public long LateFrames => Interlocked.Read(ref _lateFrames);

    /// <summary>Requests sent to a second replica because the first token was late.</summary>
    public long Hedges => Interlocked.Read(ref _hedges);

    /// <summary>Hedges whose replica had the first token first.</summary>
    public long HedgesWon => Interlocked.Read(ref _hedgesWon);

    /// <summary>The newest failovers, oldest first; at most <see cref="MostKeptFailovers"/>.</summary>
    public IReadOnlyList<RecentFailover> Recent
    {
        get
        {
            lock (_recent)
                return [.. _recent];
        }
    }

    /// <summary>Is told the times of sessions; null: nobody is. Set before the first session.</summary>
    public ISessionMeter? Meter { get; set; }

    public int Sessions => Volatile.Read(ref _sessions);

    public long JournalBytes => Interlocked.Read(ref _journalBytes);

    public long Failovers(Fault reason) => Interlocked.Read(ref _failovers[(int)reason]);

    /// <summary>Failovers by the name of their reason, every name once.</summary>
    public IEnumerable<(string Reason, long Count)> FailoversByName() =>
        FaultTable.OfAttempts.GroupBy(reason => reason.ToWireName(), Failovers).Select(group => (group.Key, group.Sum()));

    public long FailoversOfAll => FaultTable.OfAttempts.Sum(Failovers);

    internal void Note(DateTimeOffset at, string requestId, Failover failover)
    {
        lock (_recent)
        {
            if (_recent.Count == MostKeptFailovers)
                _recent.Dequeue();
            _recent.Enqueue(new RecentFailover(++_noted, at, requestId, failover));
        }
    }

    internal void LateFrame() => Interlocked.Increment(ref _lateFrames);

    internal void Hedged() => Interlocked.Increment(ref _hedges);

    internal void HedgeWon() => Interlocked.Increment(ref _hedgesWon);

    internal void FailedOver(Fault reason) => Interlocked.Increment(ref _failovers[(int)reason]);

    internal int SessionOpened() => Interlocked.Increment(ref _sessions);

    internal void SessionClosed() => Interlocked.Decrement(ref _sessions);

    internal void Journaled(long bytes) => Interlocked.Add(ref _journalBytes, bytes);
}

/// <summary>A failover of a request of this gateway.</summary>
/// <param name="Number">Rises by one with each failover since the gateway started.</param>
public sealed record RecentFailover(long Number, DateTimeOffset At, string RequestId, Failover Failover);
