using Skein.Serving;

namespace Skein.Cli.Members;

/// <summary>Publishes the state of a replica's drain, and its slots, in its metadata, so that every gateway acts on them.</summary>
internal sealed class DrainPublisher : IDisposable
{
    private readonly IMembership _membership;
    private readonly MemberMetadata _metadata;
    private readonly IReplicaControl _control;
    private readonly Lock _gate = new();

    // The metadata has space for both drain flags and for any number of slots (MemberRun.ReserveSpaceForDrain). From now on only this publisher changes it.
    public DrainPublisher(IMembership membership, MemberMetadata metadata, IReplicaControl control)
    {
        (_membership, _metadata, _control) = (membership, metadata, control);
        _control.DrainChanged += Publish;
        _control.SlotsChanged += Publish;
    }

    public void Dispose()
    {
        _control.DrainChanged -= Publish;
        _control.SlotsChanged -= Publish;
    }

    /// <summary>Publishes a change of other parts of the metadata.</summary>
    public void Update(Action<MemberMetadata> change)
    {
        lock (_gate)
        {
            change(_metadata);
            Publish();
        }
    }

    // Events may run concurrently: the lock makes the last published state the current one.
    private void Publish()
    {
        lock (_gate)
        {
            var graceLeft = _control.GraceLeft;
            _metadata.Draining = graceLeft is not null;
            _metadata.HandOver = graceLeft == TimeSpan.Zero;
            _metadata.Slots = (uint)_control.Slots;
            _membership.UpdateMetadata(_metadata);
        }
    }
}
