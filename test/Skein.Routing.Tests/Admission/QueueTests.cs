using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Admission;

public sealed class QueueTests
{
    private int _arrivals;

    [Fact]
    public async Task Release_SeveralWaiters_ServesThemInOrderOfArrivalOneEach()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1)));
        var held = await Acquire(gateway);
        Task<ReplicaLease>[] waiters = [.. Enumerable.Range(0, 200).Select(_ => Acquire(gateway))];

        foreach (var waiter in waiters)
        {
            Assert.False(waiter.IsCompleted);
            held.Release(fault: null);
            held = await waiter;
        }
        Assert.Equal(1, gateway.Admission.Leased);
        Assert.Equal(0, gateway.Admission.Waiting);
    }

    [Fact]
    public async Task Release_Twice_FreesOneSlotOnly()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1)));
        var held = await Acquire(gateway);
        var second = Acquire(gateway);
        var third = Acquire(gateway);

        held.Release(Fault.ConnectionLost);
        held.Release(fault: null);
        held.Dispose();

        await second;
        Assert.False(third.IsCompleted);
        Assert.Equal(1, gateway.Fleet.Current.Replicas[0].Leased);
    }

    [Fact]
    public async Task Acquire_DisplacedSession_GoesAheadOfThoseWhoCameLater()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1)));
        var early = Next();
        var held = await Acquire(gateway);
        var newRequest = Acquire(gateway);
        var displaced = gateway.Admission.AcquireAsync(early with { Displaced = true }, default).AsTask();

        held.Release(Fault.ConnectionLost);
        (await displaced).Release(fault: null);
        await newRequest;
    }

    [Fact]
    public async Task Acquire_HigherPriorityClass_GoesFirst()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1)));
        var held = await Acquire(gateway);
        var normal = Acquire(gateway);
        var urgent = gateway.Admission.AcquireAsync(Next() with { Arrival = new Arrival(-1, ++_arrivals, 0) }, default).AsTask();

        held.Release(fault: null);

        await urgent;
        Assert.False(normal.IsCompleted);
    }

    [Fact]
    public async Task Release_FrontWaiterExcludesTheReplica_IsPassedForThatSlotOnly()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1), Replica("b", slots: 1)));
        ReplicaLease[] held = [await Acquire(gateway), await Acquire(gateway)];
        var onA = held.Single(lease => lease.Replica.Id.Name == "a");
        var onB = held.Single(lease => lease.Replica.Id.Name == "b");
        var notOnA = gateway.Admission.AcquireAsync(Next() with { Excluded = [onA.Replica.Id] }, default).AsTask();
        var any = Acquire(gateway);

        onA.Release(fault: null);
        Assert.Equal("a", (await any).Replica.Id.Name);
        Assert.False(notOnA.IsCompleted);

        onB.Release(fault: null);
        Assert.Equal("b", (await notOnA).Replica.Id.Name);
    }

    [Fact]
    public async Task Release_SlotSharedByModels_GoesToTheOldestHead()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1, models: ["x", "y"])));
        var held = await Acquire(gateway, "x");
        var y = Acquire(gateway, "y");
        var x = Acquire(gateway, "x");

        held.Release(fault: null);

        (await y).Release(fault: null);
        await x;
    }

    [Fact]
    public async Task Acquire_LineAtItsBound_RefusesNewRequestsButNotTheDisplaced()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1)), new AdmissionOptions { QueueLength = 2 });
        await Acquire(gateway);
        _ = Acquire(gateway);
        _ = Acquire(gateway);

        var refused = await Assert.ThrowsAsync<FaultException>(() => Acquire(gateway));
        _ = gateway.Admission.AcquireAsync(Next() with { Displaced = true }, default).AsTask();

        Assert.Equal(Fault.QueueFull, refused.Fault);
        Assert.Equal(3, gateway.Admission.Waiting);
    }

    [Fact]
    public async Task Acquire_ManyRefused_TheirRetryAfterSpreads()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 2)), new AdmissionOptions { QueueLength = 0 });
        await Acquire(gateway);
        await Acquire(gateway);

        var times = new List<TimeSpan>();
        for (var i = 0; i < 10; i++)
            times.Add((await Assert.ThrowsAsync<FaultException>(() => Acquire(gateway))).RetryAfter!.Value);

        // Nothing was measured yet: a slot is thought to be held for 250 ms, so two slots serve a place each 125 ms; a tenth is added.
        Assert.Equal(Enumerable.Range(1, 10).Select(place => TimeSpan.FromSeconds(place * 0.1375)), times);
    }

    [Fact]
    public async Task Acquire_NobodyServes_TheRetryAfterOfTheRefusedSpreads()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 4)));
        gateway.Source.Set([], complete: true, "m");
        Task<ReplicaLease>[] waiters = [.. Enumerable.Range(0, 5).Select(_ => Acquire(gateway))];
        gateway.Time.Advance(TimeSpan.FromSeconds(30));

        var times = new List<TimeSpan>();
        foreach (var waiter in waiters)
            times.Add((await Assert.ThrowsAsync<FaultException>(() => waiter)).RetryAfter!.Value);

        Assert.Equal(5, times.Distinct().Count());
        Assert.All(times, time => Assert.InRange(time, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(11)));
    }

    [Fact]
    public async Task Start_TooManySessions_TheRetryAfterOfTheRefusedSpreads()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 2)), streaming: new StreamingOptions { MaxSessions = 1 });
        gateway.Link.Script = (_, _, _) => Act.Hang;
        await using var open = gateway.Sessions.Start(Gateway.Request());

        TimeSpan[] times = [.. Enumerable.Range(0, 5).Select(_ => Assert.Throws<FaultException>(() => gateway.Sessions.Start(Gateway.Request())).RetryAfter!.Value)];

        Assert.Equal(Enumerable.Range(1, 5).Select(place => TimeSpan.FromSeconds(place * 0.275)), times);
    }

    [Fact]
    public async Task Acquire_Resume_GoesOnlyToTheModelsFingerprintWhereItIsKnown()
    {
        using var gateway = new Gateway(new StaticFleet(
            Replica("a") with { Fingerprints = new Dictionary<string, string> { ["m"] = "other", ["x"] = "mine" } },
            Replica("b", slots: 1) with { Fingerprints = new Dictionary<string, string> { ["m"] = "mine" } },
            Replica("c", slots: 1, fingerprint: "")));
        Task<ReplicaLease>[] resumes = [.. Enumerable.Range(0, 3).Select(_ => gateway.Admission.AcquireAsync(Next() with { Fingerprint = "mine" }, default).AsTask())];

        string[] served = [(await resumes[0]).Replica.Id.Name, (await resumes[1]).Replica.Id.Name];
        Assert.Equal(["b", "c"], served.Order(StringComparer.Ordinal));
        Assert.False(resumes[2].IsCompleted);
    }

    [Fact]
    public async Task Acquire_NoSlotInTime_TimesOutAsBusy()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1)));
        await Acquire(gateway);
        var waiter = Acquire(gateway);

        gateway.Time.Advance(TimeSpan.FromSeconds(59));
        Assert.False(waiter.IsCompleted);
        gateway.Time.Advance(TimeSpan.FromSeconds(1));

        var refused = await Assert.ThrowsAsync<FaultException>(() => waiter);
        Assert.Equal(Fault.QueueTimeout, refused.Fault);
        Assert.NotNull(refused.RetryAfter);
        Assert.Equal(0, gateway.Admission.Waiting);
    }

    [Fact]
    public async Task Acquire_KnownModelWithoutReplica_WaitsForOneThenSaysNobody()
    {
        using var gateway = new Gateway(new StaticFleet());
        gateway.Source.Set([], complete: true, "m");
        var served = Acquire(gateway);
        gateway.Time.Advance(TimeSpan.FromSeconds(29));
        gateway.Source.Set([Replica("a", slots: 1)], complete: true, "m");
        await served;

        gateway.Source.Set([], complete: true, "m");
        var refused = Acquire(gateway);
        gateway.Time.Advance(TimeSpan.FromSeconds(30));
        Assert.Equal(Fault.NoReplica, (await Assert.ThrowsAsync<FaultException>(() => refused)).Fault);
    }

    [Fact]
    public async Task Acquire_LastReplicaLeavesWhileWaiting_IsRefused30SecondsLater()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1)));
        await Acquire(gateway);
        var waiter = Acquire(gateway);
        gateway.Time.Advance(TimeSpan.FromSeconds(10));
        gateway.Source.Set([], complete: true, "m");

        gateway.Time.Advance(TimeSpan.FromSeconds(29));
        Assert.False(waiter.IsCompleted);
        gateway.Time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(Fault.NoReplica, (await Assert.ThrowsAsync<FaultException>(() => waiter)).Fault);
    }

    [Fact]
    public async Task Acquire_UnknownModel_IsNotFoundOnlyInAWholeView()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a")));
        var refused = await Assert.ThrowsAsync<FaultException>(() => Acquire(gateway, "gpt-9"));
        Assert.Equal(Fault.ModelNotFound, refused.Fault);
        Assert.Equal("model 'gpt-9' is not known here; served are m", refused.Message);

        gateway.Source.Set([Replica("a")], complete: false);
        var waiting = Acquire(gateway, "gpt-9");
        Assert.False(waiting.IsCompleted);
        gateway.Source.Set(Replica("a"), Replica("b", models: "gpt-9"));
        Assert.Equal("b", (await waiting).Replica.Id.Name);
    }

    [Fact]
    public async Task Acquire_OthersFillTheReplica_AsksAgainAsTheReportAges()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 4)));
        var replica = gateway.Fleet.Current.Replicas[0];
        gateway.Admission.Report(replica, new LoadReport { Generation = 1, Sequence = 5, Slots = 4, Running = 4 });
        var waiter = Acquire(gateway);
        Assert.False(waiter.IsCompleted);

        for (var step = 0; step < 6; step++)
            gateway.Time.Advance(TimeSpan.FromMilliseconds(50));

        await waiter;
    }

    private Task<ReplicaLease> Acquire(Gateway gateway, string model = "m") => gateway.Admission.AcquireAsync(Next(model), default).AsTask();

    private AdmissionRequest Next(string model = "m") => new(model, new Arrival(0, ++_arrivals, 0), Displaced: false, WaitingSince: null, "", []);
}
