namespace Skein.Gateway.Upstreams;

/// <summary>Passes the slots of shared servers between the gateways of the group, and publishes whose turn it is. One caller at a time.</summary>
internal sealed class UpstreamTurns(UpstreamFleet fleet, BackgroundTasks tasks, TimeProvider time)
{
    /// <summary>Time between two decisions, and the most that it adds to the end of a request before the next gateway has the slot.</summary>
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(20);

    /// <summary>Follows until the gateway stops. Called once.</summary>
    public void Follow(IMembership membership) => tasks.Observe(PeriodicLoop.RunAsync(
        Period,
        time,
        () =>
        {
            Pass(membership);
            return Task.CompletedTask;
        },
        tasks.Stopping));

    private void Pass(IMembership membership)
    {
        var turns = fleet.PassTurns(
            member => (membership.TryGetBeacon(member.Name, out var beacon) ? beacon.Queued : member.Queued ?? 0) > 0);
        if (turns is null)
            return;
        membership.UpdateMetadata(new MemberMetadata(membership.Current.Self.Metadata) { UpstreamTurns = turns });
    }
}
