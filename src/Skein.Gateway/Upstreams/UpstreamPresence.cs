using Skein.Routing.Fleet;
using Skein.Serving;

namespace Skein.Gateway.Upstreams;

/// <summary>
/// Keeps one generation of an upstream in the fleet until it is disposed, and its drain up to date, which a replica of the group would report by gossip.
/// </summary>
internal sealed class UpstreamPresence : IDisposable
{
    private readonly UpstreamFleet _fleet;
    private readonly ReplicaDescription _description;
    private readonly IReplicaControl _control;
    private readonly Lock _gate = new();
    private bool _isGone;

    public UpstreamPresence(UpstreamFleet fleet, ReplicaDescription description, IReplicaControl control)
    {
        (_fleet, _description, _control) = (fleet, description, control);
        _control.DrainChanged += Update;
        Update();
    }

    public void Dispose()
    {
        _control.DrainChanged -= Update;
        lock (_gate)
        {
            _isGone = true;
            _fleet.Down(_description.Id.Name);
        }
    }

    // Changes may be raised concurrently: the state is read under the lock, so that the last update is the current one.
    private void Update()
    {
        lock (_gate)
        {
            var graceLeft = _control.GraceLeft;
            if (!_isGone)
                _fleet.Up(_description with { Draining = graceLeft is not null, HandOver = graceLeft == TimeSpan.Zero });
        }
    }
}
