using System.Diagnostics.CodeAnalysis;
using System.Net;
using Skein.Protocol.V1;

namespace Skein.Membership.Tests.Support;

/// <summary>A membership whose members a test overrides as needed; all others throw.</summary>
internal abstract class StubMembership : IMembership
{
    public virtual MembershipSnapshot Current => throw new NotSupportedException();

    public virtual IPEndPoint LocalEndPoint => throw new NotSupportedException();

    public virtual Task<Member> Superseded => throw new NotSupportedException();

    public virtual void UpdateMetadata(MemberMetadata metadata) => throw new NotSupportedException();

    public virtual ValueTask<MembershipSnapshot> WaitForChangeAsync(long version, CancellationToken cancellationToken) => throw new NotSupportedException();

    public virtual void UpdateLoad(int inFlight, int queued) => throw new NotSupportedException();

    public virtual long CountDropped(DropCause cause) => throw new NotSupportedException();

    public virtual async ValueTask WaitForBeaconAsync(CancellationToken cancellationToken) =>
        await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);

    public virtual bool TryGetBeacon(string name, [NotNullWhen(true)] out LoadBeacon? beacon) => throw new NotSupportedException();

    public virtual void UseKeys(GossipKeys keys) => throw new NotSupportedException();

    public virtual void ProbeNow(string name) => throw new NotSupportedException();

    public virtual Task LeaveAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public virtual ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
