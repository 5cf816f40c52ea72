namespace Skein.Membership.Core;

/// <summary>What is due; the key says for whom.</summary>
internal enum TimerKind
{
    Probe,
    ProbeRefusalCheck,
    ProbeDirectEnd,
    ProbeIndirectEnd,
    RelayEnd,
    Suspicion,
    Gossip,
    Seed,
    SeedHedge,
    NameCheckEnd,
    DeadContact,
    AntiEntropy,
    Load,
    Watch,
    Beacon,
    FlapDamper,
    Housekeeping,
    LeaveEnd,
}

/// <summary>
/// Pending timers of one core. Nothing is ever cancelled: whoever fires looks whether it still matters. Equal times fire in the order in
/// which they were set.
/// </summary>
internal sealed class TimerQueue
{
    private readonly PriorityQueue<(TimerKind Kind, ulong Key), (TimeSpan Due, ulong Order)> _queue = new();
    private ulong _order;

    public int Count => _queue.Count;

    /// <summary>When the next timer is due; <see cref="TimeSpan.MaxValue"/> without one.</summary>
    public TimeSpan NextDue => _queue.TryPeek(out _, out var priority) ? priority.Due : TimeSpan.MaxValue;

    public void Set(TimeSpan due, TimerKind kind, ulong key = 0) => _queue.Enqueue((kind, key), (due, _order++));

    public bool TryTake(TimeSpan now, out TimerKind kind, out ulong key)
    {
        (kind, key) = (default, default);
        if (!_queue.TryPeek(out var timer, out var priority) || priority.Due > now)
            return false;
        _queue.Dequeue();
        (kind, key) = timer;
        return true;
    }
}
