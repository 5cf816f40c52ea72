using System.Threading.Channels;
using Google.Protobuf;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Streaming;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Streaming;

public sealed class SessionLifetimeTests
{
    [Fact]
    public async Task Dispose_InMidStream_AbortsTheAttemptAndFreesTheSlot()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a")));
        gateway.Link.Script = (_, _, at) => at == 3 ? Act.Hang : Act.Answer;
        var session = gateway.Sessions.Start(Gateway.Request());
        Assert.True(await session.WaitToReadAsync(TestContext.Current.CancellationToken));
        Assert.Equal(1, gateway.Admission.Leased);

        await session.DisposeAsync();

        await gateway.Link.Aborted.Task;
        Assert.Equal(0, gateway.Link.Running);
        Assert.Equal(0, gateway.Admission.Leased);
        Assert.Equal(0, gateway.Statistics.Sessions);
        Assert.Equal(0, gateway.Statistics.JournalBytes);
    }

    /// <summary>The status of a response stays open while this is so.</summary>
    [Fact]
    public async Task IsQueued_WhileEveryChoiceWaits_IsTrue()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1)));
        gateway.Link.Script = (_, _, _) => Act.Hang;
        var first = gateway.Sessions.Start(Gateway.Request());
        await using var second = gateway.Sessions.Start(Gateway.Request(n: 2));

        Assert.Equal((false, true), (first.IsQueued, second.IsQueued));
        await first.DisposeAsync();

        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30), TimeProvider.System);
        while (second.IsQueued)
        {
            Assert.False(deadline.IsCancellationRequested, "the session still counts as queued although one choice has the slot");
            await Task.Yield();
        }
        Assert.Equal(1, gateway.Admission.Waiting);
    }

    [Fact]
    public async Task Dispose_WhileWaiting_LeavesTheLineAtOnce()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1)));
        gateway.Link.Script = (_, _, _) => Act.Hang;
        await using var first = gateway.Sessions.Start(Gateway.Request());
        var second = gateway.Sessions.Start(Gateway.Request());
        Assert.Equal(1, gateway.Admission.Waiting);

        await second.DisposeAsync();

        Assert.Equal(0, gateway.Admission.Waiting);
        Assert.Equal(1, gateway.Admission.Leased);
    }

    [Fact]
    public async Task Session_NoFrameAtAll_IsALinkStallAndTakesTheReplicaOut()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", weight: 1000), Replica("b")));
        gateway.Link.Script = (replica, _, at) => replica == "a" && at == 4 ? Act.Hang : Act.Answer;
        await using var session = gateway.Sessions.Start(Gateway.Request());
        var reading = Received.AllAsync(session);

        gateway.Time.Advance(TimeSpan.FromMilliseconds(950));

        Assert.Equal(ScriptedLink.TextOf(7, 12), Assert.Single(await reading).Text);
        Assert.Equal(new Failover(0, 4, "a", "link_stall"), Assert.Single(session.Failovers));
        Assert.False(gateway.Fleet.Current.Replicas.Single(replica => replica.Id.Name == "a").Reachable);
    }

    [Fact]
    public async Task Session_FrozenReplicasOneAfterTheOther_AreNotTakenForPoison()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b"), Replica("c"), Replica("d")));
        gateway.Link.Script = (_, attempt, at) => attempt <= 3 && at == -1 ? Act.Hang : Act.Answer;
        await using var session = gateway.Sessions.Start(Gateway.Request());
        var reading = Received.AllAsync(session);

        // Small steps: an attempt is counted a moment before its watch begins.
        while (!reading.IsCompleted)
        {
            gateway.Time.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Yield();
        }

        Assert.Equal(ScriptedLink.TextOf(7, 12), Assert.Single(await reading).Text);
        Assert.Equal(4, session.Attempts);
    }

    [Fact]
    public async Task Session_OwnTimerLate_WaitsOneMoreRound()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b")));
        gateway.Link.Gate = Channel.CreateUnbounded<int>();
        await using var session = gateway.Sessions.Start(Gateway.Request());

        // One jump of 3 s: this process was stopped, not the replica, whose tokens wait in a buffer.
        gateway.Time.Advance(TimeSpan.FromSeconds(3));
        for (var token = 0; token < 12; token++)
            gateway.Link.Gate.Writer.TryWrite(token);

        Assert.Equal(ScriptedLink.TextOf(7, 12), Assert.Single(await Received.AllAsync(session)).Text);
        Assert.Equal(1, session.Attempts);
    }

    [Fact]
    public async Task Session_OwnTimerLateAgainAndAgain_StillFindsADeadLink()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b")));
        gateway.Link.Script = (_, attempt, at) => attempt == 1 && at == 4 ? Act.Hang : Act.Answer;
        await using var session = gateway.Sessions.Start(Gateway.Request());
        var reading = Received.AllAsync(session);

        gateway.Time.Advance(TimeSpan.FromSeconds(3));
        gateway.Time.Advance(TimeSpan.FromSeconds(3));

        Assert.Equal(ScriptedLink.TextOf(7, 12), Assert.Single(await reading).Text);
        Assert.Equal(2, session.Attempts);
    }

    [Fact]
    public async Task Session_SlowReader_PausesTheEngineAndEndsInAnErrorAtTheBound()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a")), streaming: new StreamingOptions { JournalBytes = 2_000 });
        await using var session = gateway.Sessions.Start(Gateway.Request(tokens: 100));
        Assert.Equal(1, gateway.Link.Running);

        gateway.Time.Advance(TimeSpan.FromSeconds(30));

        var error = await Assert.ThrowsAsync<FaultException>(() => Received.AllAsync(session));
        Assert.Equal(Fault.SlowClient, error.Fault);
        Assert.Equal(0, gateway.Admission.Leased);
    }

    [Fact]
    public void Output_FramesThatAreAllLogprobs_WeighWhatTheyHold()
    {
        var output = new SessionOutput(1, new StreamingOptions { JournalBytes = 4_000 }, TimeProvider.System);
        var frame = new GenerateFrame { Count = 1, Logprobs = { new TokenLogprob { Token = ByteString.CopyFromUtf8("a") } } };
        for (var i = 0; i < 20; i++)
            frame.Logprobs[0].Top.Add(new TokenLogprob { Token = ByteString.CopyFrom(new byte[100]) });

        output.Write(frame);

        Assert.True(output.IsFull);
        Assert.True(output.TryRead(out _));
        Assert.False(output.IsFull);
    }

    [Fact]
    public async Task Session_SlowReaderThatCatchesUp_GetsEverything()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a")), streaming: new StreamingOptions { JournalBytes = 2_000 });
        await using var session = gateway.Sessions.Start(Gateway.Request(tokens: 100));
        gateway.Time.Advance(TimeSpan.FromSeconds(29));

        Assert.Equal(ScriptedLink.TextOf(7, 100), Assert.Single(await Received.AllAsync(session)).Text);
    }

    [Fact]
    public async Task Session_OnlyReplicaRefusesForSlots_WaitsBetweenTriesAndTimesOutInTime()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a")), new AdmissionOptions { QueueTimeout = TimeSpan.FromSeconds(3), NoReplicaTimeout = TimeSpan.FromSeconds(3) });
        gateway.Link.Script = (_, _, _) => Act.RefuseForSlots;
        await using var session = gateway.Sessions.Start(Gateway.Request());
        var reading = Received.AllAsync(session);

        var steps = 0;
        for (; !reading.IsCompleted && steps < 1_000; steps++)
        {
            // One step of time for each time it waits: the tries are as far apart as the clock says.
            while (gateway.Admission.Waiting == 0 && !reading.IsCompleted)
                await Task.Yield();
            gateway.Time.Advance(TimeSpan.FromMilliseconds(50));
        }

        var error = await Assert.ThrowsAsync<FaultException>(() => reading);
        Assert.Equal(Fault.QueueTimeout, error.Fault);
        Assert.InRange(gateway.Link.Attempts.Count, 2, 61);
        Assert.InRange(steps, 59, 62);
    }

    [Fact]
    public async Task EndAll_InMidStream_EndsWithAnErrorBehindWhatWasSaid()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a")));
        gateway.Link.Script = (_, _, at) => at == 3 ? Act.Hang : Act.Answer;
        await using var session = gateway.Sessions.Start(Gateway.Request());
        var reading = Received.AllAsync(session);

        gateway.Sessions.EndAll("the gateway stops");

        var error = await Assert.ThrowsAsync<FaultException>(() => reading);
        Assert.Equal("the gateway stops", error.Message);
        await session.DisposeAsync();
        Assert.Equal(0, gateway.Admission.Leased);
    }

    [Fact]
    public async Task Start_NoSeed_DrawsOneBeforeTheFirstDispatch()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b")));
        gateway.Link.Script = (_, attempt, at) => attempt == 1 && at == 5 ? Act.BreakConnection : Act.Answer;
        var request = Gateway.Request();
        request.Sampling = null;

        await using var session = gateway.Sessions.Start(request);
        var received = Assert.Single(await Received.AllAsync(session));

        ulong[] seeds = [.. gateway.Link.Attempts.Select(attempt => attempt.Seed)];
        Assert.Equal(2, seeds.Length);
        Assert.Equal(seeds[0], seeds[1]);
        Assert.Equal(ScriptedLink.TextOf(seeds[0], 12), received.Text);
    }

    [Fact]
    public void Start_OverTheBoundOfSessions_IsRefused()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a")), streaming: new StreamingOptions { MaxSessions = 1 });
        gateway.Link.Gate = Channel.CreateUnbounded<int>();
        gateway.Sessions.RequireRoom();
        _ = gateway.Sessions.Start(Gateway.Request());

        var error = Assert.Throws<FaultException>(() => gateway.Sessions.Start(Gateway.Request()));
        Assert.Equal(Fault.TooManySessions, error.Fault);
        Assert.Equal(error.Message, Assert.Throws<FaultException>(gateway.Sessions.RequireRoom).Message);
        Assert.Equal(1, gateway.Statistics.Sessions);
    }

    [Fact]
    public async Task Start_MissingModel_TakesTheOnlyOneOrNamesWhatIsAllowed()
    {
        using var one = new Gateway(new StaticFleet(Replica("a")));
        var request = Gateway.Request();
        request.Model = "";
        await using var session = one.Sessions.Start(request);
        Assert.Equal("m", request.Model);

        using var two = new Gateway(new StaticFleet(Replica("a", models: ["x", "y"])));
        var ambiguous = Gateway.Request();
        ambiguous.Model = "";
        var error = Assert.Throws<FaultException>(() => two.Sessions.Start(ambiguous));
        Assert.Equal("model is missing; allowed: x, y", error.Message);
        two.Source.Set(
            Replica("a", models: ["big", "x"]) with { OwnNames = new Dictionary<string, string>(StringComparer.Ordinal) { ["big"] = "x" } }, Replica("b", models: ["y"]));
        Assert.Equal("model is missing; allowed: big, x, y", Assert.Throws<FaultException>(() => two.Sessions.Start(ambiguous)).Message);

        // A model that is known but not served now is not considered. Without any replica, the error is that of the fleet and not of the request.
        one.Source.Set([Replica("a")], complete: true, "m", "gone");
        var again = Gateway.Request();
        again.Model = "";
        await using var served = one.Sessions.Start(again);
        Assert.Equal("m", again.Model);
        using var none = new Gateway(new StaticFleet());
        var early = Gateway.Request();
        early.Model = "";
        Assert.Equal(Fault.NoReplica, Assert.Throws<FaultException>(() => none.Sessions.Start(early)).Fault);
    }
}
