namespace Skein.Gateway.Telemetry;

/// <summary>
/// State of the fleet and the queues, read by the gateway's metrics at each collection. Implementations are thread-safe, answer from memory and do
/// not throw.
/// </summary>
public interface IFleetVitals
{
    /// <summary>Failovers since the start, one entry per reason, including reasons that never occurred.</summary>
    IEnumerable<FailoverCount> Failovers();

    /// <summary>Second attempts for a late first token since the start, and those that won.</summary>
    (long Asked, long Won) Hedges { get; }

    /// <summary>Frames dropped since the start because their attempt had been given up.</summary>
    long LateFrames { get; }

    /// <summary>Sessions now, including those that wait.</summary>
    int Sessions { get; }

    /// <summary>Bytes in all journals now.</summary>
    long JournalBytes { get; }

    /// <summary>Requests that wait now, one entry per known model.</summary>
    IEnumerable<QueueDepth> Queues();

    /// <summary>Members now, one entry per role and state that has any.</summary>
    IEnumerable<MemberCount> Members();

    /// <summary>Gossip packets dropped since this gateway joined, one entry per cause, including causes that never occurred.</summary>
    IEnumerable<DroppedPackets> Dropped();

    /// <summary>Circuit breakers now, one entry per live replica.</summary>
    IEnumerable<BreakerLevel> Breakers();
}

/// <summary>Failovers for one reason.</summary>
/// <param name="Reason">Value of <c>Failover.Reason</c>.</param>
/// <param name="Count">Never falls.</param>
public readonly record struct FailoverCount(string Reason, long Count);

/// <summary>Requests waiting for one model.</summary>
public readonly record struct QueueDepth(string Model, int Waiters);

/// <summary>Members of one role in one state.</summary>
/// <param name="Role">Value from <c>Roles</c>.</param>
/// <param name="State">alive, suspect, dead or left.</param>
/// <param name="Count">How many.</param>
public readonly record struct MemberCount(string Role, string State, int Count);

/// <summary>Gossip packets dropped for one cause.</summary>
/// <param name="Cause">malformed, oversized, version, cluster, seal_missing, unknown_key, bad_tag or replayed.</param>
/// <param name="Count">Never falls.</param>
public readonly record struct DroppedPackets(string Cause, long Count);

/// <summary>The circuit breaker of one replica.</summary>
/// <param name="Replica">Member name.</param>
/// <param name="Level">0 closed, 1 half-open, 2 open.</param>
/// <param name="Ejections">How often it opened. Starts at 0 with each generation of the replica.</param>
public readonly record struct BreakerLevel(string Replica, int Level, long Ejections);
