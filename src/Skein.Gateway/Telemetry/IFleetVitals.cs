namespace Skein.Gateway.Telemetry;

/// <summary>
/// What the gateway's metrics ask the fleet and the line whenever they are collected. Implementations are safe for concurrent calls, answer
/// from memory and do not throw.
/// </summary>
public interface IFleetVitals
{
    /// <summary>Failovers since the start, one entry per reason; reasons that never occurred included.</summary>
    IEnumerable<FailoverCount> Failovers();

    /// <summary>Hedges since the start: all, and those that won.</summary>
    (long Asked, long Won) Hedges { get; }

    /// <summary>Frames of given-up attempts since the start.</summary>
    long LateFrames { get; }

    /// <summary>Sessions now, those that wait included.</summary>
    int Sessions { get; }

    /// <summary>Bytes in all journals now.</summary>
    long JournalBytes { get; }

    /// <summary>Waiters now, one entry per known model.</summary>
    IEnumerable<QueueDepth> Queues();

    /// <summary>Members now, one entry per role and state that has any.</summary>
    IEnumerable<MemberCount> Members();

    /// <summary>Gossip packets dropped since this gateway joined, one entry per cause; causes that never occurred included.</summary>
    IEnumerable<DroppedPackets> Dropped();

    /// <summary>Breakers now, one entry per live replica.</summary>
    IEnumerable<BreakerLevel> Breakers();
}

/// <summary>Failovers for one reason.</summary>
/// <param name="Reason">As <c>Failover.Reason</c> has it.</param>
/// <param name="Count">Never falls.</param>
public readonly record struct FailoverCount(string Reason, long Count);

/// <summary>Requests waiting for one model.</summary>
public readonly record struct QueueDepth(string Model, int Waiters);

/// <summary>Members of one role in one state.</summary>
/// <param name="Role">As <c>Roles</c> has it.</param>
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
/// <param name="Ejections">How often it was opened; begins anew with a new life of the replica.</param>
public readonly record struct BreakerLevel(string Replica, int Level, long Ejections);
