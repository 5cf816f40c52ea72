namespace Skein.Gateway.Telemetry;

/// <summary>State of the fleet, read at each collection of metrics. Thread-safe; answers from memory; does not throw. Counts never fall.</summary>
internal interface IFleetVitals
{
    /// <summary>Requests that wait now, by known model.</summary>
    IEnumerable<(string Model, int Waiters)> Queues();

    /// <summary>Members now. The role is from <c>Roles</c>; the state is alive, suspect, dead or left.</summary>
    IEnumerable<(string Role, string State, int Count)> Members();

    /// <summary>Gossip packets dropped, by the name of a <c>DropCause</c>, including causes that never occurred.</summary>
    IEnumerable<(string Cause, long Count)> Dropped();

    /// <summary>Circuit breakers of live replicas: 0 closed, 1 half-open, 2 open; ejections since the generation started.</summary>
    IEnumerable<(string Replica, int Level, long Ejections)> Breakers();
}
