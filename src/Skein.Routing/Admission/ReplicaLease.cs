using Skein.Routing.Fleet;

namespace Skein.Routing.Admission;

/// <summary>A reserved slot.</summary>
/// <param name="Epoch">Epoch of its breaker at the reservation.</param>
/// <param name="NextSince">When the next waiter for a slot there began to wait, on the queue's clock; null if there is none.</param>
internal readonly record struct Reservation(Replica Replica, int Epoch, TimeSpan? NextSince)
{
    /// <summary><see cref="Fleet.Replica.Breaks"/> at the reservation.</summary>
    public int Breaks { get; init; }

    /// <summary>It is for a suspect request: see <see cref="AdmissionRequest.IsSuspect"/>.</summary>
    public bool IsSuspect { get; init; }

    public AdmissionRequest? Request { get; init; }

    /// <summary>Tokens that its tenant was charged in advance.</summary>
    public double Charged { get; init; }
}

/// <summary>One reserved slot of one replica, used by one attempt. Released exactly once; later releases do nothing. Thread-safe.</summary>
internal sealed class ReplicaLease(AdmissionQueue owner, Reservation reservation, TimeSpan grantedAt, TimeSpan askedAt, TimeSpan waitingSince) : IDisposable
{
    private int _released;
    private int _cleared = reservation.IsSuspect ? 0 : 1;

    public Replica Replica => reservation.Replica;

    /// <summary>
    /// When the request first asked for a slot, on the queue's clock: <see cref="AdmissionRequest.WaitingSince"/> after the replica refused it.
    /// </summary>
    public TimeSpan AskedAt => askedAt;

    public Reservation Reservation => reservation;

    public TimeSpan GrantedAt => grantedAt;

    /// <summary>Tokens that were generated with it. Set by the one reader of its attempt.</summary>
    public long AnswerTokens { get; set; }

    /// <summary>Describes this gateway's queue to the replica, which offers its next free slot to the gateway with the oldest waiter.</summary>
    public void DescribeQueue(GenerateRequest request)
    {
        request.WaitedMs = Age(waitingSince);
        if (reservation.NextSince is { } next)
            request.NextWaitedMs = Age(next);
        else
            request.ClearNextWaitedMs();
    }

    private uint Age(TimeSpan since) => (uint)Math.Clamp((grantedAt - since).TotalMilliseconds, 0, uint.MaxValue);

    /// <summary>The attempt made a token: its request no longer counts as one that kills replicas.</summary>
    public void Clear()
    {
        if (Volatile.Read(ref _cleared) == 0 && Interlocked.Exchange(ref _cleared, 1) == 0)
            owner.SuspectEnded();
    }

    /// <summary>Gives the slot back.</summary>
    /// <param name="fault">How the attempt ended; null: with a finish frame.</param>
    /// <param name="report">The replica's newest load report, if one came with the end. It is applied before the slot is assigned again.</param>
    public void Release(Fault? fault, LoadReport? report = null)
    {
        if (Interlocked.Exchange(ref _released, 1) != 0)
            return;
        owner.Release(this, fault, report);
        Clear();
    }

    /// <summary>Releases as <see cref="Fault.Cancelled"/>, unless released before.</summary>
    public void Dispose() => Release(Fault.Cancelled);
}
