using Skein.Protocol;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;
using Skein.Routing.Health;
using Skein.Routing.Streaming;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Admission;

public sealed class EjectionTests
{
    private int _arrivals;

    [Fact]
    public async Task EngineFailures_FiveInARow_EjectUntilTwoTrialsEndWell()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b")));
        await FailAsync(gateway, "a", 5);
        Assert.Equal(BreakerState.Open, StateOf(gateway, "a"));
        Assert.Equal(["ejected", "ok"], WordsOf(gateway));
        Assert.All(await AcquireAsync(gateway, 3), lease => Assert.Equal("b", lease.Replica.Id.Name));

        gateway.Time.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal(BreakerState.HalfOpen, StateOf(gateway, "a"));
        for (var trial = 0; trial < 2; trial++)
        {
            // b holds 3 of 4: of two more, one is the trial, and the other must go to b.
            var two = await AcquireAsync(gateway, 2);
            Assert.Equal(["a", "b"], two.Select(lease => lease.Replica.Id.Name).Order(StringComparer.Ordinal));
            foreach (var lease in two)
                lease.Release(fault: null);
        }

        // Back, but not yet with its full share.
        Assert.Equal(BreakerState.Closed, StateOf(gateway, "a"));
        Assert.Equal(["warming", "ok"], WordsOf(gateway));
        gateway.Time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(["ok", "ok"], WordsOf(gateway));
        Assert.Equal(1, gateway.Admission.Breakers().Sum(breaker => breaker.Ejections));
    }

    /// <summary>A replica that resets each connection at once, and answers its probes.</summary>
    [Fact]
    public async Task ConnectionBreaksOfNewAttempts_FiveInARow_Eject()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b")));
        await FailAsync(gateway, "a", 5, Fault.ConnectionLost);

        Assert.Equal(BreakerState.Open, StateOf(gateway, "a"));
    }

    [Fact]
    public async Task ReplicaFailedOnce_GetsNoRequestThatAnIdleOneCanServeForAWhile()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 50), Replica("b", slots: 50)));
        await FailAsync(gateway, "a", 1);

        Assert.All(await AcquireAsync(gateway, 8), lease => Assert.Equal("b", lease.Replica.Id.Name));
        gateway.Time.Advance(TimeSpan.FromSeconds(41));
        Assert.All(await AcquireAsync(gateway, 8), lease => Assert.Equal("a", lease.Replica.Id.Name));
    }

    /// <summary>One break ends all streams of a replica at once: that is one failure.</summary>
    [Fact]
    public async Task OneBreakOfTheConnection_EndsManyStreams_EjectsNobody()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 50), Replica("b", slots: 50)));
        foreach (var lease in await AcquireAsync(gateway, 80))
            lease.Release(lease.Replica.Id.Name == "a" ? Fault.ConnectionLost : null);

        Assert.All(gateway.Admission.Breakers(), breaker => Assert.Equal(BreakerState.Closed, breaker.State));
    }

    [Theory]
    [InlineData(Fault.Cancelled)]
    [InlineData(Fault.NoSlot)]
    public async Task OtherEnds_NoMatterHowMany_EjectNobody(Fault? fault)
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b")));
        for (var i = 0; i < 50; i++)
        {
            (await AcquireAsync(gateway)).Release(fault);
            gateway.Time.Advance(TimeSpan.FromMilliseconds(100));
        }
        Assert.All(gateway.Admission.Breakers(), breaker => Assert.Equal(BreakerState.Closed, breaker.State));
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(2, 1)]
    [InlineData(3, 1)]
    [InlineData(4, 2)]
    [InlineData(7, 3)]
    public async Task AllFail_NeverMoreThanTheShareIsEjected_AndTheLongestOutServeAgain(int replicas, int most)
    {
        using var gateway = new Gateway(new StaticFleet([.. Enumerable.Range(0, replicas).Select(i => Replica($"r{i}"))]));
        for (var i = 0; i < 300; i++)
        {
            (await AcquireAsync(gateway)).Release(Fault.EngineFailed);
            Assert.InRange(gateway.Admission.Breakers().Count(breaker => breaker.State != BreakerState.Closed), 0, most);
            gateway.Time.Advance(TimeSpan.FromMilliseconds(10));
        }
        if (most > 0)
            Assert.All(gateway.Admission.Breakers(), breaker => Assert.NotEqual(0, breaker.Ejections));
    }

    [Fact]
    public async Task HealthyReplicaBreaks_TheEjectedOneServesAgainAtOnce()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b", slots: 1)));
        await FailAsync(gateway, "a", 5);
        var held = await AcquireAsync(gateway);
        var waiter = AcquireAsync(gateway);
        Assert.False(waiter.IsCompleted);

        gateway.Fleet.MarkUnreachable(held.Replica);

        Assert.Equal("a", (await waiter).Replica.Id.Name);
    }

    [Fact]
    public async Task Waiter_AllOthersFull_IsTheTrialAsSoonAsTheBreakerIsHalfOpen()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b", slots: 1)));
        await FailAsync(gateway, "a", 5);
        await AcquireAsync(gateway);
        var first = AcquireAsync(gateway);
        var second = AcquireAsync(gateway);

        gateway.Time.Advance(TimeSpan.FromSeconds(4.9));
        Assert.False(first.IsCompleted);
        gateway.Time.Advance(TimeSpan.FromSeconds(0.1));

        Assert.Equal("a", (await first).Replica.Id.Name);
        Assert.False(second.IsCompleted);
    }

    [Fact]
    public async Task DisplacedSession_WithNobodyElse_GetsTheEjectedReplica_NewRequestsDoNot()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b", slots: 1)));
        await FailAsync(gateway, "a", 5);
        var onB = await AcquireAsync(gateway);

        var newRequest = AcquireAsync(gateway);
        var displaced = gateway.Admission.AcquireAsync(Next() with { Displaced = true, Excluded = [onB.Replica.Id] }, default).AsTask();

        Assert.Equal("a", (await displaced).Replica.Id.Name);
        Assert.False(newRequest.IsCompleted);
    }

    [Theory]
    [InlineData(nameof(Act.FailEngine), true)]
    [InlineData(nameof(Act.EndWithoutFinish), true)]
    [InlineData(nameof(Act.SkipToken), true)]
    [InlineData(nameof(Act.Drain), false)]
    [InlineData(nameof(Act.RefuseForSlots), false)]
    [InlineData(nameof(Act.RefuseRequest), false)]
    public async Task Sessions_EndsOfAttempts_AreDistinguished(string act, bool opens)
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b")));
        var bad = Enum.Parse<Act>(act);
        gateway.Link.Script = (replica, _, index) => replica == "a" && index <= 0 ? bad : Act.Answer;
        for (var i = 0; i < 40; i++)
        {
            try
            {
                await using var session = gateway.Sessions.Start(Gateway.Request(tokens: 2));
                await Received.AllAsync(session);
            }
            catch (FaultException error) when (error.Fault == Fault.InvalidRequest)
            {
                // As scripted.
            }
            // Until its failures no longer count as load.
            gateway.Time.Advance(TimeSpan.FromMinutes(1));
        }
        Assert.Equal(opens, gateway.Admission.Breakers().Sum(breaker => breaker.Ejections) > 0);
    }

    private async Task FailAsync(Gateway gateway, string replica, int times, Fault fault = Fault.EngineFailed)
    {
        ReplicaId[] others = [.. gateway.Fleet.Current.Replicas.Select(other => other.Id).Where(id => id.Name != replica)];
        for (var i = 0; i < times; i++)
            (await gateway.Admission.AcquireAsync(Next() with { Excluded = others }, default)).Release(fault);
    }

    private static IEnumerable<string> WordsOf(Gateway gateway) =>
        gateway.Admission.Breakers().OrderBy(breaker => breaker.Replica.Name, StringComparer.Ordinal).Select(breaker => breaker.Word);

    private static BreakerState StateOf(Gateway gateway, string replica) =>
        gateway.Admission.Breakers().Single(breaker => breaker.Replica.Name == replica).State;

    private Task<ReplicaLease> AcquireAsync(Gateway gateway) => gateway.Admission.AcquireAsync(Next(), default).AsTask();

    private async Task<ReplicaLease[]> AcquireAsync(Gateway gateway, int count) =>
        await Task.WhenAll(Enumerable.Range(0, count).Select(_ => AcquireAsync(gateway)));

    private AdmissionRequest Next() => new("m", new Arrival(0, ++_arrivals, 0), Displaced: false, WaitingSince: null, "", []);
}
