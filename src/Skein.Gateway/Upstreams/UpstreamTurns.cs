namespace Skein.Gateway.Upstreams;

/// <summary>
/// Passes the slots of shared servers between the gateways of the group, and publishes whose turn it is, and which servers this gateway has.
/// </summary>
internal sealed class UpstreamTurns(UpstreamFleet fleet, BackgroundTasks tasks, TimeProvider time)
{
    /// <summary>Time between two decisions, and the most that it adds to the end of a request before the next gateway has the slot.</summary>
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(20);

    /// <summary>The same while all servers have enough slots for all gateways: an idle gateway sleeps.</summary>
    private static readonly TimeSpan IdlePeriod = TimeSpan.FromSeconds(1);

    /// <summary>Follows until the gateway stops. Called once.</summary>
    public void Follow(IMembership membership) => tasks.Observe(RunAsync(membership, tasks.Stopping));

    private async Task RunAsync(IMembership membership, CancellationToken cancellationToken)
    {
        // From now on only this loop changes it.
        var metadata = membership.Current.Self.Metadata.Clone();
        try
        {
            while (true)
            {
                var turns = fleet.PassTurns(
                    member => (membership.TryGetBeacon(member.Name, out var beacon) ? beacon.Queued : member.Queued ?? 0) > 0, out var isScarce);
                var upstreams = UpstreamSharing.DigestsOf(fleet.Urls);
                if (turns is not null || !upstreams.Equals(metadata.Upstreams))
                {
                    metadata.UpstreamTurns = turns ?? metadata.UpstreamTurns;
                    metadata.Upstreams = upstreams;
                    membership.UpdateMetadata(metadata);
                }
                await Task.Delay(isScarce ? Period : IdlePeriod, time, cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The gateway stops.
        }
    }
}
