using Microsoft.Extensions.Logging;
using Skein.Membership;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Group;

/// <summary>
/// Connects a gateway with its membership, both ways: snapshots become the fleet and the directory, beacons the load of replicas; broken
/// connections become probes, and this gateway's load a slow fact.
/// </summary>
internal sealed partial class GroupFollower(
    GroupFleet source, GroupDirectory directory, BeaconFeed beacons, FleetTracker fleet, AdmissionQueue admission, RoutingStatistics statistics, TimeProvider time,
    ILogger<GroupFollower> logger) : IAsyncDisposable
{
    private static readonly TimeSpan LoadPeriod = TimeSpan.FromMilliseconds(500);

    private readonly CancellationTokenSource _stop = new();
    private IMembership? _membership;
    private Task _following = Task.CompletedTask;

    /// <summary>Takes in the current snapshot, then follows. Called once.</summary>
    public void Follow(IMembership membership)
    {
        _membership = membership;
        directory.Follow(membership);
        var first = membership.Current;
        Take(first);
        fleet.ConnectionBroken += OnConnectionBroken;
        _following = Task.WhenAll(
            FollowAsync(membership, first.Version),
            EveryAsync(LoadPeriod, () => membership.UpdateLoad(statistics.Sessions, admission.Waiting)),
            EveryAsync(BeaconFeed.Period, () => beacons.Poll(membership)));
    }

    public async ValueTask DisposeAsync()
    {
        fleet.ConnectionBroken -= OnConnectionBroken;
        await _stop.CancelAsync();
        await _following;
        _stop.Dispose();
    }

    private void OnConnectionBroken(Replica replica) => _membership?.ProbeNow(replica.Id.Name);

    private void Take(MembershipSnapshot snapshot)
    {
        directory.Update(snapshot);
        source.Update(snapshot);
    }

    /// <summary>A snapshot that cannot be taken in must not be the last one.</summary>
    private void TryTake(MembershipSnapshot snapshot)
    {
        try
        {
            Take(snapshot);
        }
        catch (Exception bug) when (bug is not OutOfMemoryException)
        {
            Log.NotTaken(logger, snapshot.Version, bug);
        }
    }

    private async Task FollowAsync(IMembership membership, long version)
    {
        try
        {
            while (true)
            {
                var snapshot = await membership.WaitForChangeAsync(version, _stop.Token);
                version = snapshot.Version;
                TryTake(snapshot);
            }
        }
        catch (OperationCanceledException)
        {
            // This gateway, or its membership, was stopped.
        }
    }

    private async Task EveryAsync(TimeSpan period, Action action)
    {
        using var timer = new PeriodicTimer(period, time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token))
                action();
        }
        catch (OperationCanceledException)
        {
            // As above.
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1100, LogLevel.Critical, "View {Version} of the group could not be taken in: the fleet stays as it was")]
        public static partial void NotTaken(ILogger logger, long version, Exception exception);
    }
}
