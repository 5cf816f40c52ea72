using System.Diagnostics.CodeAnalysis;
using System.Net;
using Skein.Protocol.V1;

namespace Skein.Membership;

/// <summary>This process's place in the group. Safe for concurrent use; no call blocks. Disposing it without leaving looks like a crash.</summary>
public interface IMembership : IAsyncDisposable
{
    /// <summary>The group as this member sees it now.</summary>
    MembershipSnapshot Current { get; }

    /// <summary>Where this member listens, UDP and TCP.</summary>
    IPEndPoint LocalEndPoint { get; }

    /// <summary>
    /// Ends when a newer life of this member's name is seen; carries that life. The process should stop serving and exit: others do not
    /// talk to it any more.
    /// </summary>
    Task<Member> Superseded { get; }

    /// <summary>Waits for a snapshot newer than <paramref name="version"/>, and answers the newest.</summary>
    /// <exception cref="OperationCanceledException">Cancelled, or this member was disposed.</exception>
    ValueTask<MembershipSnapshot> WaitForChangeAsync(long version, CancellationToken cancellationToken);

    /// <summary>Replaces what this member tells about itself; known to all within two probe periods. Not kept: may be changed after.</summary>
    /// <exception cref="MembershipException">It takes more than 512 bytes.</exception>
    void UpdateMetadata(MemberMetadata metadata);

    /// <summary>Tells this member's load as a slow fact; gossiped when it changed, at most once a second. Call as often as you like.</summary>
    void UpdateLoad(int inFlight, int queued);

    /// <summary>
    /// The newest load that a member told straight to this one; false where there is none, or it is older than
    /// <see cref="ProtocolOptions.BeaconLifetime"/>. Fresh within tens of milliseconds, where the snapshot's figures are seconds old.
    /// </summary>
    bool TryGetBeacon(string name, [NotNullWhen(true)] out LoadBeacon? beacon);

    /// <summary>Packets dropped for that reason since the start, datagrams and requests over TCP.</summary>
    long CountDropped(DropCause cause);

    /// <summary>Replaces the gossip keys while running; see <see cref="GossipKeys"/> for how to rotate them.</summary>
    /// <exception cref="MembershipException">This member started without keys and is to get some, or the other way round.</exception>
    void UseKeys(GossipKeys keys);

    /// <summary>Somebody has reason to doubt that member (a connection broke): it is probed at once. Unknown names are ignored.</summary>
    void ProbeNow(string name);

    /// <summary>Says goodbye to the group and waits until that was sent; further calls return at once.</summary>
    Task LeaveAsync(CancellationToken cancellationToken);
}
