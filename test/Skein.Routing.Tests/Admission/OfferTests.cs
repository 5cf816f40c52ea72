using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Admission;

/// <summary>What a gateway does with a slot that a replica keeps for it, and what it tells replicas of its line.</summary>
public sealed class OfferTests
{
    private ulong _reports;
    private int _arrivals;

    [Fact]
    public async Task TakeOffer_ReplicaFullAsFarAsKnown_ServesTheOldestWaiterAlone()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 2)));
        var replica = gateway.Fleet.Current.Replicas[0];
        ReportFull(gateway);
        var first = AcquireAsync(gateway);
        var second = AcquireAsync(gateway);

        Assert.True(gateway.Admission.TakeOffer(replica));

        Assert.Same(replica, (await first).Replica);
        Assert.False(second.IsCompleted);
    }

    [Fact]
    public void TakeOffer_NobodyWaits_IsDeclinedAndChangesNothing()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 2)));
        var replica = gateway.Fleet.Current.Replicas[0];
        ReportFull(gateway);

        Assert.False(gateway.Admission.TakeOffer(replica));

        Assert.False(AcquireAsync(gateway).IsCompleted);
    }

    [Fact]
    public async Task TakeOffer_OfASlotWhoseOwnAttemptIsJustEnding_IsNotDeclined()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1)));
        var ending = await AcquireAsync(gateway);
        var waiter = AcquireAsync(gateway);

        Assert.True(gateway.Admission.TakeOffer(ending.Replica));
        Assert.False(waiter.IsCompleted);
        ending.Release(fault: null);

        await waiter;
    }

    [Fact]
    public async Task TakeOffer_OfAReplicaThatHasLeft_IsDeclined()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1)));
        var running = await AcquireAsync(gateway);
        var waiter = AcquireAsync(gateway);
        gateway.Source.Set([], complete: true, "m");

        Assert.False(gateway.Admission.TakeOffer(running.Replica));

        Assert.False(waiter.IsCompleted);
    }

    [Fact]
    public async Task DescribeQueue_Lease_TellsItsOwnAgeAndThatOfTheNext()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1)));
        var running = await AcquireAsync(gateway);
        var first = AcquireAsync(gateway);
        gateway.Time.Advance(TimeSpan.FromMilliseconds(700));
        var second = AcquireAsync(gateway);
        gateway.Time.Advance(TimeSpan.FromMilliseconds(300));

        running.Release(fault: null);
        var request = new GenerateRequest();
        (await first).DescribeQueue(request);
        Assert.Equal((1000u, 300u), (request.WaitedMs, request.NextWaitedMs));

        (await first).Release(fault: null);
        (await second).DescribeQueue(request);
        Assert.Equal((300u, false), (request.WaitedMs, request.HasNextWaitedMs));
    }

    [Fact]
    public async Task DescribeQueue_DisplacedSession_IsAsOldAsItsArrival()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1)));
        gateway.Time.Advance(TimeSpan.FromMinutes(2));
        var request = new GenerateRequest();

        var lease = await gateway.Admission.AcquireAsync(
            new AdmissionRequest("m", new Arrival(0, 1, 0) { At = TimeSpan.FromMinutes(1) }, Displaced: true, null, "", []), default);
        lease.DescribeQueue(request);

        Assert.Equal(60_000u, request.WaitedMs);
    }

    [Fact]
    public void Report_ReplicaHasForgottenThisGateway_IsAskedSoonThoughBeaconsCallItFull()
    {
        Assert.Equal(250, AskedAfterMs(gateway => ReportFull(gateway, remembers: false)));
        Assert.Equal(5000, AskedAfterMs(gateway => ReportFull(gateway, remembers: true)));
        Assert.Equal(5000, AskedAfterMs(gateway => ReportFull(gateway, remembers: null))); // as members of the previous release report
    }

    [Fact]
    public void Report_ManyOfAReplicaThatHasForgottenThisGateway_DoNotPutOffTheAsking() => Assert.Equal(250, AskedAfterMs(
        gateway => ReportFull(gateway, remembers: false), meanwhile: gateway => ReportFull(gateway, remembers: false)));

    [Fact]
    public void TakeOffer_OvertakesTheRefusalItFollows_ReplicaIsAskedSoon() => Assert.Equal(250, AskedAfterMs(gateway =>
    {
        Assert.False(gateway.Admission.TakeOffer(gateway.Fleet.Current.Replicas[0])); // the request it is for has not returned to the queue yet
        ReportFull(gateway); // the report that came with the refusal
    }));

    [Fact]
    public async Task Release_WhoeverReservedGoesWithoutAsking_ReplicaIsAskedSoon()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 2)));
        ReportFull(gateway);
        var waiter = AcquireAsync(gateway);
        Assert.True(gateway.Admission.TakeOffer(gateway.Fleet.Current.Replicas[0]));

        (await waiter).Dispose();

        Assert.Equal(250, AskedAfterMs(gateway));
    }

    private int AskedAfterMs(Action<Gateway> before, Action<Gateway>? meanwhile = null)
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 2)));
        before(gateway);
        return AskedAfterMs(gateway, meanwhile);
    }

    private int AskedAfterMs(Gateway gateway, Action<Gateway>? meanwhile = null)
    {
        _ = AcquireAsync(gateway);
        var ms = 0;
        for (; gateway.Admission.Waiting > 0; ms += 10)
        {
            Assert.InRange(ms, 0, 10_000);
            gateway.Time.Advance(TimeSpan.FromMilliseconds(10));
            gateway.Admission.Report([new RunningReport(gateway.Fleet.Current.Replicas[0], 2, gateway.Time.GetTimestamp())]);
            meanwhile?.Invoke(gateway);
        }
        return ms;
    }

    private void ReportFull(Gateway gateway, bool? remembers = true)
    {
        var report = new LoadReport { Generation = 1, Sequence = ++_reports, Slots = 2, Running = 2 };
        if (remembers is not null)
            report.RemembersCaller = remembers.Value;
        gateway.Admission.Report(gateway.Fleet.Current.Replicas[0], report);
    }

    private Task<ReplicaLease> AcquireAsync(Gateway gateway) =>
        gateway.Admission.AcquireAsync(new AdmissionRequest("m", new Arrival(0, ++_arrivals, 0), Displaced: false, null, "", []), default).AsTask();
}
