using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Admission;

public sealed class BeaconTests
{
    private int _arrivals;

    [Fact]
    public void SixteenGateways_WithBeacons_WaitLessAndAreRefusedHalfAsOften()
    {
        var without = BusyFleet.Run(gateways: 16, beacons: false, TimeSpan.FromSeconds(1));
        var with = BusyFleet.Run(gateways: 16, beacons: true, TimeSpan.FromSeconds(1));

        Assert.Equal(without.Requests, with.Requests, tolerance: 200);
        Assert.InRange(with.P99Ms, 0, 0.95 * without.P99Ms);
        Assert.InRange(with.RefusalsPerRequest, 0, 0.5 * without.RefusalsPerRequest);
    }

    /// <summary>The table of docs/measurements/admission.md; takes some minutes, so it is run by hand, with <c>--explicit only</c>.</summary>
    [Theory(Explicit = true)]
    [InlineData(1, 1)]
    [InlineData(4, 1)]
    [InlineData(16, 1)]
    [InlineData(32, 1)]
    [InlineData(4, 10)]
    [InlineData(16, 10)]
    [InlineData(32, 10)]
    public void Table(int gateways, int holdSeconds)
    {
        foreach (var beacons in new[] { false, true })
        {
            TestContext.Current.TestOutputHelper!.WriteLine(
                $"{gateways} gateways, {holdSeconds} s, beacons {beacons}: {BusyFleet.Run(gateways, beacons, TimeSpan.FromSeconds(holdSeconds))}");
        }
    }

    [Fact]
    public async Task Beacon_OwnLeasesAreTakenOff_TheRestIsOthers()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 10), Replica("b", slots: 10)));
        var own = await AcquireAsync(gateway);
        var busy = own.Replica;

        Beacon(gateway, busy, running: 1); // all of it ours
        Assert.NotSame(busy, (await AcquireAsync(gateway)).Replica);
        Beacon(gateway, busy, running: 6); // five are others'
        for (var i = 0; i < 4; i++)
            Assert.NotSame(busy, (await AcquireAsync(gateway)).Replica);
    }

    /// <summary>What the engine queues, and a nearly full KV cache, count in the pick but take no slots away.</summary>
    [Theory]
    [InlineData(3, 0)]
    [InlineData(0, 990)]
    public async Task Report_EngineIsLoaded_OthersArePickedFirst(uint waiting, uint kvUsedPermille)
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 3), Replica("b", slots: 3)));
        var (loaded, other) = (gateway.Fleet.Current.Replicas[0], gateway.Fleet.Current.Replicas[1]);
        gateway.Admission.Report(
            loaded, new LoadReport { Generation = 1, Sequence = 1, Slots = 3, Waiting = waiting, KvUsedPermille = kvUsedPermille });

        Assert.Same(other, (await AcquireAsync(gateway)).Replica);
        Assert.Same(other, (await AcquireAsync(gateway)).Replica);
        await AcquireAsync(gateway);
        await AcquireAsync(gateway);
        await AcquireAsync(gateway);
        await AcquireAsync(gateway);
        Assert.Equal((3, 3), (loaded.Leased, other.Leased));
    }

    /// <summary>A gateway without streams on a replica knows from gossip that its KV cache is nearly full, until a stream's report says otherwise.</summary>
    [Fact]
    public async Task Gossip_KvCacheIsNearlyFull_OthersArePickedFirstUntilAStreamReports()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 8) with { KvUsed = 7 / 8d }, Replica("b", slots: 8)));
        var (loaded, other) = (gateway.Fleet.Current.Replicas[0], gateway.Fleet.Current.Replicas[1]);

        Assert.Same(other, (await AcquireAsync(gateway)).Replica);
        Assert.Same(other, (await AcquireAsync(gateway)).Replica);
        Assert.Equal((0.875, null), (loaded.KvUsed, other.KvUsed));
        gateway.Admission.Report(loaded, new LoadReport { Generation = 1, Sequence = 1, Slots = 8, KvUsedPermille = 500 });
        Assert.Equal(0.5, loaded.KvUsed);
        Assert.Same(loaded, (await AcquireAsync(gateway)).Replica);
        Assert.Same(loaded, (await AcquireAsync(gateway)).Replica);
    }

    /// <summary>A replica whose slots adapt reports them; nothing else tells the gateway.</summary>
    [Fact]
    public async Task Report_OtherSlots_AreTheLimit()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1)));
        var replica = gateway.Fleet.Current.Replicas[0];
        await AcquireAsync(gateway);
        var second = AcquireAsync(gateway);
        Assert.False(second.IsCompleted);

        gateway.Admission.Report(replica, new LoadReport { Generation = 1, Sequence = 1, Slots = 2, Running = 1, RunningForCaller = 1 });

        await second;
        Assert.Equal(2, replica.Slots);
        Assert.False(AcquireAsync(gateway).IsCompleted);
    }

    [Fact]
    public async Task Beacon_OlderThanAFramesReport_IsNoNews()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 4)));
        var replica = gateway.Fleet.Current.Replicas[0];
        await AcquireAsync(gateway);
        var before = gateway.Time.GetTimestamp();
        gateway.Time.Advance(TimeSpan.FromMilliseconds(10));
        gateway.Admission.Report(replica, new LoadReport { Generation = 1, Sequence = 1, Slots = 4, Running = 1, RunningForCaller = 1 });

        gateway.Admission.Report([new RunningReport(replica, 4, before)]);
        Assert.True(AcquireAsync(gateway).IsCompleted);

        Beacon(gateway, replica, running: 4);
        Assert.False(AcquireAsync(gateway).IsCompleted);
    }

    [Fact]
    public async Task Beacon_ReportsAFreeSlot_ServesTheWaiterAtOnce()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 2)));
        var replica = gateway.Fleet.Current.Replicas[0];
        await AcquireAsync(gateway);
        Beacon(gateway, replica, running: 2);
        var waiter = AcquireAsync(gateway);
        Assert.False(waiter.IsCompleted);

        Beacon(gateway, replica, running: 1);

        await waiter;
    }

    [Fact]
    public async Task Beacons_SayFullForever_OneAsksEveryFiveSeconds()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 4)));
        var replica = gateway.Fleet.Current.Replicas[0];
        (await AcquireAsync(gateway)).Release(fault: null);
        Beacon(gateway, replica, running: 4);
        var first = AcquireAsync(gateway);
        var second = AcquireAsync(gateway);

        for (var step = 1; step < 100; step++)
        {
            gateway.Time.Advance(TimeSpan.FromMilliseconds(49));
            Beacon(gateway, replica, running: 4);
            Assert.False(first.IsCompleted, $"asked after {step * 50} ms");
        }
        gateway.Time.Advance(TimeSpan.FromMilliseconds(50));

        await first;
        Assert.False(second.IsCompleted);
    }

    private static void Beacon(Gateway gateway, Replica replica, int running)
    {
        gateway.Time.Advance(TimeSpan.FromMilliseconds(1));
        gateway.Admission.Report([new RunningReport(replica, running, gateway.Time.GetTimestamp())]);
    }

    private Task<ReplicaLease> AcquireAsync(Gateway gateway) =>
        gateway.Admission.AcquireAsync(new AdmissionRequest("m", new Arrival(0, ++_arrivals, 0), Displaced: false, null, "", []), default).AsTask();
}
