using Skein.Membership;
using Skein.Protocol.V1;
using Skein.Serving;

namespace Skein.Cli.Members;

/// <summary>Tells the group how it stands with a replica's drain, so that every gateway acts on it.</summary>
internal sealed class DrainPublisher : IDisposable
{
    private readonly IMembership _membership;
    private readonly MemberMetadata _metadata;
    private readonly IReplicaControl _control;
    private readonly Lock _gate = new();

    /// <param name="membership">The replica's place in the group.</param>
    /// <param name="metadata">What the replica told so far; changed by this teller alone from now on.</param>
    /// <param name="control">The replica.</param>
    public DrainPublisher(IMembership membership, MemberMetadata metadata, IReplicaControl control)
    {
        (_membership, _metadata, _control) = (membership, metadata, control);
        _control.DrainChanged += Tell;
    }

    public void Dispose() => _control.DrainChanged -= Tell;

    // Changes may be raised side by side: whoever comes last tells what holds last.
    private void Tell()
    {
        lock (_gate)
        {
            var graceLeft = _control.GraceLeft;
            _metadata.Draining = graceLeft is not null;
            _metadata.HandOver = graceLeft == TimeSpan.Zero;
            _membership.UpdateMetadata(_metadata);
        }
    }
}
