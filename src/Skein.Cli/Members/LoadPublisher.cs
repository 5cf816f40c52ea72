using Skein.Membership;
using Skein.Protocol.V1;
using Skein.Serving;

namespace Skein.Cli.Members;

/// <summary>Publishes a replica's load to the group every 20 ms; membership sends it as beacons and gossip.</summary>
internal sealed class LoadPublisher : IDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(20);

    private readonly ITimer _timer;

    public LoadPublisher(IMembership membership, IReplicaControl control) => _timer = TimeProvider.System.CreateTimer(
        _ =>
        {
            var load = control.Report();
            membership.UpdateLoad((int)load.Running, queued: 0);
        },
        null,
        Period,
        Period);

    public void Dispose() => _timer.Dispose();
}
