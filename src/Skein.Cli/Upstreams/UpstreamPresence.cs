using Skein.Gateway.Upstreams;
using Skein.Serving;
using Skein.Routing.Fleet;

namespace Skein.Cli.Upstreams;

/// <summary>
/// One life of an upstream as its gateway sees it: there from the start, until it is disposed, and how it stands with its drain, which a replica of the
/// group would tell by gossip.
/// </summary>
internal sealed class UpstreamPresence : IDisposable
{
    private readonly IUpstreams _fleet;
    private readonly ReplicaDescription _description;
    private readonly IReplicaControl _control;
    private readonly Lock _gate = new();
    private bool _isGone;

    public UpstreamPresence(IUpstreams fleet, ReplicaDescription description, IReplicaControl control)
    {
        (_fleet, _description, _control) = (fleet, description, control);
        _control.DrainChanged += Tell;
        Tell();
    }

    public void Dispose()
    {
        _control.DrainChanged -= Tell;
        lock (_gate)
        {
            _isGone = true;
            _fleet.Down(_description.Id.Name);
        }
    }

    // Changes may be raised side by side: whoever comes last tells what holds last.
    private void Tell()
    {
        lock (_gate)
        {
            var graceLeft = _control.GraceLeft;
            if (!_isGone)
                _fleet.Up(_description with { Draining = graceLeft is not null, HandOver = graceLeft == TimeSpan.Zero });
        }
    }
}
