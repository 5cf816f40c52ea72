namespace Skein.Gateway.Telemetry;

/// <summary>What the gateway's metrics read at each collection. Thread-safe, from memory, without exceptions. Counts never fall.</summary>
internal interface IFleetVitals
{
    /// <summary>Failovers by the <c>Failover.Reason</c>, including reasons that never occurred.</summary>
    IEnumerable<(string Reason, long Count)> Failovers();

    /// <summary>Second attempts for a late first token, and those that won.</summary>
    (long Asked, long Won) Hedges { get; }

    /// <summary>Frames dropped because their attempt had been given up.</summary>
    long LateFrames { get; }

    /// <summary>Sessions now, including those that wait.</summary>
    int Sessions { get; }

    /// <summary>Bytes in all journals now.</summary>
    long JournalBytes { get; }

    /// <summary>Requests that wait now, by known model.</summary>
    IEnumerable<(string Model, int Waiters)> Queues();

    /// <summary>Members now. The role is from <c>Roles</c>; the state is alive, suspect, dead or left.</summary>
    IEnumerable<(string Role, string State, int Count)> Members();

    /// <summary>Gossip packets dropped, by the name of a <c>DropCause</c>, including causes that never occurred.</summary>
    IEnumerable<(string Cause, long Count)> Dropped();

    /// <summary>Circuit breakers of live replicas: 0 closed, 1 half-open, 2 open; ejections since the generation started.</summary>
    IEnumerable<(string Replica, int Level, long Ejections)> Breakers();
}
