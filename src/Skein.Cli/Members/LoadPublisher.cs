using Skein.Membership;
using Skein.Protocol.V1;
using Skein.Serving;

namespace Skein.Cli.Members;

/// <summary>Tells the group a replica's load: membership makes beacons and slow facts of it.</summary>
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
