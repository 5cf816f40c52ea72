using System.Diagnostics.CodeAnalysis;
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Skein.Gateway.Group;
using Skein.Membership;
using Skein.Membership.Tests.Support;
using Skein.Protocol.V1;
using Skein.Routing;
using Skein.Routing.Admission;
using Skein.Routing.Balancing;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Group;

public sealed class GroupFollowerTests : IAsyncDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly BackgroundTasks _tasks = new();
    private readonly FleetTracker _fleet = new(new OneReplica());
    private readonly AdmissionQueue _admission;
    private readonly GroupFollower _follower;
    private readonly Probed _membership = new();

    public GroupFollowerTests()
    {
        _admission = new AdmissionQueue(new AdmissionOptions(), new BalancingPolicies(BalancingPolicies.BuiltIn), _fleet, _time, new SeededRandomSource(1));
        var statistics = new RoutingStatistics();
        var directory = new GroupDirectory(_fleet, _admission, statistics, _time);
        _follower = new GroupFollower(
            new GroupFleet(), directory, new BeaconFeed(_fleet, _admission), _fleet, _admission, statistics, _tasks, _time, NullLogger<GroupFollower>.Instance);
    }

    public async ValueTask DisposeAsync()
    {
        _follower.Dispose();
        _tasks.Dispose();
        await _membership.DisposeAsync();
        _admission.Dispose();
        _fleet.Dispose();
    }

    /// <summary>The gateway's connection breaks long before the next probe is due, so the group probes at once.</summary>
    [Fact]
    public async Task ConnectionOfAReplicaBreaks_MembershipProbesItNow()
    {
        _follower.Follow(_membership);

        _fleet.MarkUnreachable(_fleet.Current.Replicas[0]);

        Assert.Equal(["replica-1"], _membership.Names);
        _follower.Dispose();
        _fleet.MarkReachable(_fleet.Current.Replicas[0]);
        _fleet.MarkUnreachable(_fleet.Current.Replicas[0]);
        Assert.Equal(["replica-1"], _membership.Names);
    }

    /// <summary>Its loops failed without a log line, and the gateway continued with loads that were no longer updated.</summary>
    [Fact]
    public async Task Follow_OneLoopThrows_EndsTheOthersAndFailsTheService()
    {
        await _tasks.StartAsync(TestContext.Current.CancellationToken);
        var running = _tasks.ExecuteTask!;
        _follower.Follow(_membership);
        _membership.OnUpdateLoad = () => throw new InvalidOperationException("a bug");

        while (!running.IsCompleted)
        {
            _time.Advance(TimeSpan.FromMilliseconds(500));
            await Task.Yield();
        }

        Assert.Equal("a bug", (await Assert.ThrowsAsync<InvalidOperationException>(() => running)).Message);
    }

    [Fact]
    public async Task Stop_LoopsRun_EndsThemWithoutAFailure()
    {
        await _tasks.StartAsync(TestContext.Current.CancellationToken);
        _follower.Follow(_membership);

        await _tasks.StopAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

        Assert.False(_tasks.ExecuteTask!.IsFaulted);
    }

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

    /// <summary>A group without events that records which members it was asked to probe.</summary>
    private sealed class Probed : StubMembership
    {
        public List<string> Names { get; } = [];

        public override MembershipSnapshot Current { get; } = new(version: 1, Me, [Me], []);

        private static Member Me { get; } = new()
        {
            Name = "gateway-1", State = MemberState.Alive, Generation = 1, Incarnation = 0, Gossip = new IPEndPoint(IPAddress.Loopback, 7946), Metadata = new MemberMetadata(),
        };

        public override bool TryGetBeacon(string name, [NotNullWhen(true)] out LoadBeacon? beacon)
        {
            beacon = null;
            return false;
        }

        public override async ValueTask<MembershipSnapshot> WaitForChangeAsync(long version, CancellationToken cancellationToken)
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
            return Current;
        }

        public Action OnUpdateLoad { get; set; } = () => { };

        public override void UpdateLoad(int inFlight, int queued) => OnUpdateLoad();

        public override void ProbeNow(string name) => Names.Add(name);
    }
}
