namespace Skein.Gateway.Group;

/// <summary>
/// Connects a gateway with its membership in both directions. Snapshots update the fleet and the directory, beacons the load of replicas;
/// broken connections become probes, and this gateway's load is gossiped.
/// </summary>
internal sealed partial class GroupFollower(
    GroupFleet source, GroupDirectory directory, BeaconFeed beacons, FleetTracker fleet, AdmissionQueue admission, RoutingStatistics statistics,
    BackgroundTasks tasks, TimeProvider time, ILogger<GroupFollower> logger) : IDisposable
{
    private static readonly TimeSpan LoadPeriod = TimeSpan.FromMilliseconds(500);

    private IMembership? _membership;

    /// <summary>Uses the current snapshot, then follows until the gateway stops or the membership ends. Called once.</summary>
    public void Follow(IMembership membership)
    {
        _membership = membership;
        directory.Follow(membership);
        var first = membership.Current;
        Use(first);
        fleet.ConnectionBroken += OnConnectionBroken;
        tasks.Observe(RunAsync(membership, first.Version, tasks.Stopping));
    }

    public void Dispose() => fleet.ConnectionBroken -= OnConnectionBroken;

    private async Task RunAsync(IMembership membership, long version, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task[] loops =
        [
            FollowAsync(membership, version, stop.Token),
            EveryAsync(LoadPeriod, () => membership.UpdateLoad(statistics.Sessions, admission.Waiting), stop.Token),
            FollowBeaconsAsync(membership, stop.Token),
        ];
        // If one of them fails, the others must not continue without it.
        await Task.WhenAny(loops);
        await stop.CancelAsync();
        await Task.WhenAll(loops);
    }

    private void OnConnectionBroken(Replica replica) => _membership?.ProbeNow(replica.Id.Name);

    private void Use(MembershipSnapshot snapshot)
    {
        directory.Update(snapshot);
        source.Update(snapshot);
    }

    private async Task FollowAsync(IMembership membership, long version, CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                var snapshot = await membership.WaitForChangeAsync(version, cancellationToken);
                version = snapshot.Version;
                try
                {
                    Use(snapshot);
                }
                catch (Exception bug) when (bug is not OutOfMemoryException)
                {
                    // A snapshot has input from outside: one that cannot be used must not stop the gateway.
                    Log.SnapshotFailed(logger, snapshot.Version, bug);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // This gateway, or its membership, was stopped.
        }
    }

    private async Task FollowBeaconsAsync(IMembership membership, CancellationToken cancellationToken)
    {
        try
        {
            await beacons.RunAsync(membership, time, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The gateway stops.
        }
    }

    private Task EveryAsync(TimeSpan period, Action action, CancellationToken cancellationToken) => PeriodicLoop.RunAsync(
        period, time, () =>
        {
            action();
            return Task.CompletedTask;
        }, cancellationToken);

    private static partial class Log
    {
        [LoggerMessage(3100, LogLevel.Critical, "Snapshot {Version} of the group could not be used; the fleet stays as it was")]
        public static partial void SnapshotFailed(ILogger logger, long version, Exception exception);
    }
}
