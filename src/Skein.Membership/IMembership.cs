using Skein.Protocol.V1;

namespace Skein.Membership;

/// <summary>This process's membership in the group. Thread-safe; no call blocks. Disposing without leaving looks like a crash to others.</summary>
public interface IMembership : IAsyncDisposable
{
    /// <summary>The current view of the group.</summary>
    MembershipSnapshot Current { get; }

    /// <summary>The bound gossip address, UDP and TCP.</summary>
    IPEndPoint LocalEndPoint { get; }

    /// <summary>
    /// Completes with the newer member when a newer generation of this member's name is seen. The process should stop serving and exit: other
    /// members ignore it from then on.
    /// </summary>
    Task<Member> Superseded { get; }

    /// <summary>Waits for a snapshot newer than <paramref name="version"/> and returns the newest one.</summary>
    /// <exception cref="OperationCanceledException">Cancelled, or this member was disposed.</exception>
    ValueTask<MembershipSnapshot> WaitForChangeAsync(long version, CancellationToken cancellationToken);

    /// <summary>
    /// Replaces this member's metadata; all members know it within two probe periods. The argument is copied and may be changed afterwards.
    /// </summary>
    /// <exception cref="ArgumentException">The metadata exceeds 512 bytes.</exception>
    void UpdateMetadata(MemberMetadata metadata);

    /// <summary>Reports this member's load. Beacons carry it within milliseconds, gossip at most once a second. May be called at any rate.</summary>
    void UpdateLoad(int inFlight, int queued);

    /// <summary>
    /// The newest load beacon of a member; false if there is none or it is older than <see cref="ProtocolOptions.BeaconLifetime"/>. Beacons are
    /// tens of milliseconds old, the loads in a snapshot seconds.
    /// </summary>
    bool TryGetBeacon(string name, [NotNullWhen(true)] out LoadBeacon? beacon);

    /// <summary>Completes when a beacon has arrived since the last call completed. One caller at a time.</summary>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    ValueTask WaitForBeaconAsync(CancellationToken cancellationToken);

    /// <summary>Number of packets dropped for that cause since the start: datagrams and TCP requests.</summary>
    long CountDropped(DropCause cause);

    /// <summary>Replaces the gossip keys at run time; <see cref="GossipKeys"/> describes a rotation.</summary>
    /// <exception cref="ArgumentException">Keys cannot be switched on or off in a running member.</exception>
    void UseKeys(GossipKeys keys);

    /// <summary>Probes a member at once, for a caller that doubts it (a connection broke). Unknown names are ignored.</summary>
    void ProbeNow(string name);

    /// <summary>Announces that this member leaves and completes when the announcement was sent. Further calls complete at once.</summary>
    Task LeaveAsync(CancellationToken cancellationToken);
}

/// <summary>A load report that a member sent directly to this one. Immutable.</summary>
/// <param name="Sequence">Increases with every beacon of a generation.</param>
/// <param name="ReceivedAt">Time of arrival, as a timestamp of this member's <see cref="TimeProvider"/>.</param>
public sealed record LoadBeacon(ulong Generation, int InFlight, int Queued, long Sequence, long ReceivedAt);
