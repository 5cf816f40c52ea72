using Skein.Membership;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Group;

/// <summary>
/// Connects a gateway with its membership, both ways: snapshots become the fleet and the directory; broken connections become probes, and
/// this gateway's load a slow fact.
/// </summary>
internal sealed class GroupFollower(
    GroupFleet source, GroupDirectory directory, FleetTracker fleet, AdmissionQueue admission, RoutingStatistics statistics, TimeProvider time) : IAsyncDisposable
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
        MembershipSnapshot first = membership.Current;
        Take(first);
        fleet.ConnectionBroken += OnConnectionBroken;
        _following = Task.WhenAll(FollowAsync(membership, first.Version), TellLoadAsync(membership));
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

    private async Task FollowAsync(IMembership membership, long version)
    {
        try
        {
            while (true)
            {
                MembershipSnapshot snapshot = await membership.WaitForChangeAsync(version, _stop.Token);
                version = snapshot.Version;
                Take(snapshot);
            }
        }
        catch (OperationCanceledException)
        {
            // This gateway, or its membership, was stopped.
        }
    }

    private async Task TellLoadAsync(IMembership membership)
    {
        using var period = new PeriodicTimer(LoadPeriod, time);
        try
        {
            while (await period.WaitForNextTickAsync(_stop.Token))
                membership.UpdateLoad(statistics.Sessions, admission.Waiting);
        }
        catch (OperationCanceledException)
        {
            // As above.
        }
    }
}
