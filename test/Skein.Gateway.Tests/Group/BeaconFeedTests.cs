using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Time.Testing;
using Skein.Gateway.Group;
using Skein.Membership;
using Skein.Membership.Tests.Support;
using Skein.Protocol.V1;
using Skein.Routing;
using Skein.Routing.Admission;
using Skein.Routing.Balancing;
using Skein.Routing.Fleet;

namespace Skein.Gateway.Tests.Group;

public sealed class BeaconFeedTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly Beacons _membership = new();
    private readonly FleetTracker _fleet = new(new OneReplica());
    private readonly AdmissionQueue _admission;
    private readonly BeaconFeed _feed;
    private int _arrivals;

    public BeaconFeedTests()
    {
        _admission = new AdmissionQueue(new AdmissionOptions(), new BalancingPolicies(BalancingPolicies.BuiltIn), _fleet, _time, new SeededRandomSource(1));
        _feed = new BeaconFeed(_fleet, _admission);
    }

    public void Dispose()
    {
        _admission.Dispose();
        _fleet.Dispose();
    }

    [Theory]
    [InlineData(7, true)]
    [InlineData(6, false)] // reported by an earlier generation of the name
    public async Task Poll_FullReplica_IsLeftAloneIfItIsThatLife(ulong generation, bool waits)
    {
        await AcquireAsync();
        _time.Advance(TimeSpan.FromMilliseconds(1));
        _membership.Newest = new LoadBeacon(generation, InFlight: 4, Queued: 0, Sequence: 1, _time.GetTimestamp());

        _feed.Poll(_membership);

        Assert.Equal(waits, !AcquireAsync().IsCompleted);
    }

    [Fact]
    public async Task Poll_SameBeaconAgain_IsNoNews_TheNextOneIs()
    {
        await AcquireAsync();
        _time.Advance(TimeSpan.FromMilliseconds(1));
        _membership.Newest = new LoadBeacon(7, InFlight: 1, Queued: 0, Sequence: 1, _time.GetTimestamp());
        _feed.Poll(_membership);
        _membership.Newest = _membership.Newest with { InFlight = 4, ReceivedAt = _time.GetTimestamp() + 1 };
        _feed.Poll(_membership);
        Assert.True(AcquireAsync().IsCompleted);

        _membership.Newest = _membership.Newest with { Sequence = 2 };
        _feed.Poll(_membership);
        Assert.False(AcquireAsync().IsCompleted);
    }

    /// <summary>A gateway without work woke up 50 times a second to look for beacons.</summary>
    [Fact]
    public async Task Run_NoBeacons_SetsNoTimer_OneBeacon_IsUsedAtOnce()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var time = new CountedTime();
        var running = _feed.RunAsync(_membership, time, stop.Token);
        Assert.Equal(0, time.Timers);

        await AcquireAsync();
        _time.Advance(TimeSpan.FromMilliseconds(1));
        _membership.Newest = new LoadBeacon(7, InFlight: 4, Queued: 0, Sequence: 1, _time.GetTimestamp());
        _membership.Arrived.SetResult();
        await time.FirstTimer;
        Assert.False(AcquireAsync().IsCompleted);

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    private Task<ReplicaLease> AcquireAsync() =>
        _admission.AcquireAsync(new AdmissionRequest("m", new Arrival(0, ++_arrivals, 0), Displaced: false, null, "", []), default).AsTask();

    private sealed class OneReplica : IFleetSource
    {
        public event Action? Changed
        {
            add { }
            remove { }
        }

        public FleetView Current { get; } = new(
            [new ReplicaDescription { Id = new ReplicaId("replica-1", 7), Address = "replica-1", Models = ["m"], Slots = 4 }], [], Complete: true);
    }

    /// <summary>Counts the timers that are created; none fires.</summary>
    private sealed class CountedTime : FakeTimeProvider
    {
        private readonly TaskCompletionSource _first = new();

        public int Timers { get; private set; }

        public Task FirstTimer => _first.Task;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            Timers++;
            _first.TrySetResult();
            return base.CreateTimer(callback, state, dueTime, period);
        }
    }

    private sealed class Beacons : StubMembership
    {
        public TaskCompletionSource Arrived { get; } = new();

        public override async ValueTask WaitForBeaconAsync(CancellationToken cancellationToken) => await Arrived.Task.WaitAsync(cancellationToken);

        public LoadBeacon? Newest { get; set; }

        public override bool TryGetBeacon(string name, [NotNullWhen(true)] out LoadBeacon? beacon) => (beacon = Newest) is not null;
    }
}
