using Skein.Protocol.V1;
using Skein.Routing.Fleet;

namespace Skein.Routing.Admission;

/// <summary>How the attempt that held a lease ended.</summary>
public enum LeaseOutcome
{
    /// <summary>With a finish frame.</summary>
    Finished,

    /// <summary>By a fault.</summary>
    Faulted,

    /// <summary>The replica had no slot for it: nothing ran.</summary>
    Refused,

    /// <summary>By the client, the deadline, or an error of the request.</summary>
    Cancelled,
}

/// <summary>One reserved slot of one replica, held by one attempt. Released exactly once; later releases do nothing. Thread-safe.</summary>
public sealed class ReplicaLease : IDisposable
{
    private readonly AdmissionQueue _owner;
    private int _released;

    internal ReplicaLease(AdmissionQueue owner, Replica replica, TimeSpan grantedAt, TimeSpan askedAt)
    {
        AskedAt = askedAt;
        _owner = owner;
        Replica = replica;
        GrantedAt = grantedAt;
    }

    /// <summary>The replica whose slot it is.</summary>
    public Replica Replica { get; }

    /// <summary>When the request that got it first asked, on the queue's clock: to be handed on when the replica refuses.</summary>
    public TimeSpan AskedAt { get; }

    internal TimeSpan GrantedAt { get; }

    /// <summary>Gives the slot back.</summary>
    /// <param name="outcome">How the attempt ended.</param>
    /// <param name="report">The replica's newest load report, if one came with the end: taken in before the slot is offered again.</param>
    public void Release(LeaseOutcome outcome, LoadReport? report = null)
    {
        if (Interlocked.Exchange(ref _released, 1) == 0)
            _owner.Release(this, outcome, report);
    }

    /// <summary>Releases as <see cref="LeaseOutcome.Cancelled"/>, unless released before.</summary>
    public void Dispose() => Release(LeaseOutcome.Cancelled);
}
