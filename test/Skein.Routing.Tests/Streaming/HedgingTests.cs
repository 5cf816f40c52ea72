using Skein.Protocol.V1;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Streaming;

/// <summary>A second replica is asked when the first token is late.</summary>
public sealed class HedgingTests
{
    private const int Tokens = 12;
    private static readonly TimeSpan Usual = TimeSpan.FromMilliseconds(40);
    private static readonly TimeSpan PastTheUsual = TimeSpan.FromMilliseconds(50);

    [Fact]
    public async Task Hedge_FirstReplicaIsSilent_SecondOneAnswersAndTheFirstIsAborted()
    {
        using var gateway = await WarmedUpAsync();
        gateway.Link.Script = (replica, _, at) => replica == "a" && at == 0 ? Act.Hang : Act.Answer;

        await using var session = gateway.Sessions.Start(Hedged());
        var reading = Received.AllAsync(session);
        gateway.Time.Advance(PastTheUsual);
        var received = Assert.Single(await reading);

        Assert.Equal(ScriptedLink.TextOf(7, Tokens), received.Text);
        Assert.Equal(1, received.Starts);
        Assert.Equal("b", session.Replica);
        Assert.Empty(session.Failovers);
        Assert.Equal((1, 1), (gateway.Statistics.Hedges, gateway.Statistics.HedgesWon));
        await gateway.Link.Aborted.Task.WaitAsync(TimeSpan.FromSeconds(30));
        await session.DisposeAsync();
        Assert.Equal((0, 0), (gateway.Admission.Leased, gateway.Link.Running));
    }

    [Fact]
    public async Task Hedge_FirstReplicaIsSlightlyLate_ItWinsAndTheSecondIsAborted()
    {
        using var gateway = await WarmedUpAsync();
        var late = true;
        gateway.Link.Script = (replica, _, at) => at != 0 ? Act.Answer : replica == "b" ? Act.Hang : late ? Act.Idle : Act.Answer;

        await using var session = gateway.Sessions.Start(Hedged());
        var reading = Received.AllAsync(session);
        gateway.Time.Advance(PastTheUsual);
        Assert.Equal(1, gateway.Statistics.Hedges);
        late = false;
        var received = Assert.Single(await reading);

        Assert.Equal(ScriptedLink.TextOf(7, Tokens), received.Text);
        Assert.Equal("a", session.Replica);
        Assert.Equal(0, gateway.Statistics.HedgesWon);
        await gateway.Link.Aborted.Task.WaitAsync(TimeSpan.FromSeconds(30));
        await session.DisposeAsync();
        Assert.Equal((0, 0), (gateway.Admission.Leased, gateway.Link.Running));
    }

    [Fact]
    public async Task Hedge_WinnerDiesLater_FailsOverAsEver()
    {
        using var gateway = await WarmedUpAsync();
        gateway.Link.Script = (replica, _, at) => (replica, at) switch
        {
            ("a", 0) => Act.Hang,
            ("b", 5) => Act.BreakConnection,
            _ => Act.Answer,
        };

        await using var session = gateway.Sessions.Start(Hedged());
        var reading = Received.AllAsync(session);
        gateway.Time.Advance(PastTheUsual);
        var received = Assert.Single(await reading);

        Assert.Equal(ScriptedLink.TextOf(7, Tokens), received.Text);
        Assert.Equal(("b", 5), (Assert.Single(session.Failovers).From, session.Failovers[0].TokenIndex));
    }

    [Fact]
    public async Task Hedge_FirstReplicaDiesWhileTheSecondWorks_GoesOnWithTheSecond()
    {
        using var gateway = await WarmedUpAsync();
        var dead = false;
        gateway.Link.Script = (replica, _, at) => (replica, at) switch
        {
            ("a", 0) => dead ? Act.BreakConnection : Act.Idle,
            ("b", 0) => dead ? Act.Answer : Act.Idle,
            _ => Act.Answer,
        };

        await using var session = gateway.Sessions.Start(Hedged());
        var reading = Received.AllAsync(session);
        gateway.Time.Advance(PastTheUsual);
        dead = true;
        var received = Assert.Single(await reading);

        Assert.Equal(ScriptedLink.TextOf(7, Tokens), received.Text);
        Assert.DoesNotContain("c", gateway.Link.Attempts.Select(attempt => attempt.Replica).Skip(WarmUps));
    }

    [Fact]
    public async Task Hedge_NoFreeSlotElsewhere_DoesNotWaitInLine()
    {
        using var gateway = await WarmedUpAsync();
        gateway.Source.Set(Replica("a"));
        var late = true;
        gateway.Link.Script = (_, _, at) => at == 0 && late ? Act.Idle : Act.Answer;

        await using var session = gateway.Sessions.Start(Hedged());
        var reading = Received.AllAsync(session);
        gateway.Time.Advance(PastTheUsual);
        Assert.Equal((0, 0), (gateway.Admission.Waiting, gateway.Statistics.Hedges));
        late = false;

        Assert.Equal(ScriptedLink.TextOf(7, Tokens), Assert.Single(await reading).Text);
    }

    [Fact]
    public async Task Hedge_SlotComesFreeLater_TakesItThen()
    {
        using var gateway = await WarmedUpAsync();
        ReplicaDescription[] all = [.. gateway.Source.Current.Replicas];
        gateway.Source.Set(all[0]);
        gateway.Link.Script = (replica, _, at) => replica == "a" && at == 0 ? Act.Hang : Act.Answer;

        await using var session = gateway.Sessions.Start(Hedged());
        var reading = Received.AllAsync(session);
        gateway.Time.Advance(PastTheUsual);
        Assert.Equal(0, gateway.Statistics.Hedges);
        gateway.Source.Set(all);
        gateway.Time.Advance(2 * PastTheUsual);

        Assert.Equal(ScriptedLink.TextOf(7, Tokens), Assert.Single(await reading).Text);
        Assert.Equal("b", session.Replica);
    }

    [Fact]
    public async Task Hedge_BudgetIsSpent_NoSecondReplicaIsAsked()
    {
        using var gateway = await WarmedUpAsync();
        for (var i = 0; i < 30; i++)
        {
            var late = true;
            gateway.Link.Script = (replica, _, at) => replica == "a" && at == 0 && late ? Act.Idle : Act.Answer;
            await using var session = gateway.Sessions.Start(Hedged());
            var reading = Received.AllAsync(session);
            gateway.Time.Advance(PastTheUsual);
            late = false;
            await reading;
        }

        // Five at once, and one more for each twenty requests.
        Assert.Equal(6, gateway.Statistics.Hedges);
    }

    [Fact]
    public async Task Hedge_NotAskedFor_NeverHappens()
    {
        using var gateway = await WarmedUpAsync();
        var late = true;
        gateway.Link.Script = (_, _, at) => at == 0 && late ? Act.Idle : Act.Answer;

        await using var session = gateway.Sessions.Start(Gateway.Request(Tokens));
        var reading = Received.AllAsync(session);
        gateway.Time.Advance(PastTheUsual);
        late = false;
        await reading;

        Assert.Equal(0, gateway.Statistics.Hedges);
    }

    [Fact]
    public async Task Hedge_ReplicaThatLost_IsAskedLessUntilThatIsForgotten()
    {
        using var gateway = await WarmedUpAsync();
        gateway.Source.Set(Replica("a", weight: 1.5), Replica("b"));
        gateway.Link.Script = (replica, _, at) => replica == "a" && at == 0 ? Act.Hang : Act.Answer;
        await using (var slow = gateway.Sessions.Start(Hedged()))
        {
            var reading = Received.AllAsync(slow);
            gateway.Time.Advance(PastTheUsual);
            await reading;
        }
        gateway.Link.Script = (_, _, _) => Act.Answer;

        Assert.Equal("b", await AskedFirstAsync(gateway));
        gateway.Time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal("a", await AskedFirstAsync(gateway));
    }

    private static async Task<string> AskedFirstAsync(Gateway gateway)
    {
        var before = gateway.Link.Attempts.Count;
        await using var session = gateway.Sessions.Start(Gateway.Request(Tokens));
        await Received.AllAsync(session);
        return gateway.Link.Attempts.ElementAt(before).Replica;
    }

    private const int WarmUps = 30;

    /// <summary>Three replicas whose usual time to the first token is known to be short; a is asked first.</summary>
    private static async Task<Gateway> WarmedUpAsync()
    {
        var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b"), Replica("c")));
        gateway.Link.Script = (_, _, at) =>
        {
            if (at == 0)
                gateway.Time.Advance(Usual);
            return Act.Answer;
        };
        foreach (var name in new[] { "a", "b", "c" })
        {
            gateway.Source.Set([.. gateway.Source.Current.Replicas.Select(replica => replica with { Draining = replica.Id.Name != name })]);
            for (var i = 0; i < WarmUps / 3; i++)
            {
                await using var session = gateway.Sessions.Start(Gateway.Request(1));
                await Received.AllAsync(session);
            }
        }
        gateway.Source.Set(Replica("a", weight: 1000), Replica("b", weight: 10), Replica("c", weight: 0.1));
        return gateway;
    }

    private static GenerateRequest Hedged()
    {
        var request = Gateway.Request(Tokens);
        request.Hedge = true;
        return request;
    }
}
