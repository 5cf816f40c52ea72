using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Streaming;

/// <summary>Make before break: a stream leaves a draining replica while that still speaks.</summary>
public sealed class HandOverTests
{
    private const int Tokens = HandOverRig.Tokens;

    public static TheoryData<int, int> EveryHoldAndCut()
    {
        var data = new TheoryData<int, int>();
        for (var drain = -1; drain < Tokens; drain++)
        {
            for (var cut = drain + 1; cut < Tokens; cut++)
                data.Add(drain, cut);
        }
        return data;
    }

    [Theory]
    [MemberData(nameof(EveryHoldAndCut))]
    public async Task Drain_HeldAtOneIndexAndCutAtAnother_ClientGetsTheUndisturbedAnswer(int drainAt, int cutAt)
    {
        using var rig = new HandOverRig { DrainAt = drainAt, CutAt = cutAt };

        await using var session = rig.Gateway.Sessions.Start(Gateway.Request(Tokens));
        var received = Assert.Single(await Received.AllAsync(session));

        Assert.Equal(ScriptedLink.TextOf(7, Tokens), received.Text);
        Assert.Equal(1, received.Starts);
        var move = Assert.Single(session.Failovers);
        Assert.Equal(("a", "draining", cutAt), (move.From, move.Reason, move.TokenIndex));
        Assert.Equal([drainAt + 1], rig.Gateway.Link.Attempts.Where(attempt => attempt.IsStandby).Select(attempt => attempt.ResumedAt));
        Assert.Equal("b", session.Replica);
        await rig.Gateway.Link.Aborted.Task.WaitAsync(TimeSpan.FromSeconds(30));
        await rig.EverythingIsReleasedAsync(session);
    }

    [Fact]
    public async Task Drain_OtherReplicaDiesWhileHolding_StreamGoesOnWhereItWas()
    {
        using var rig = new HandOverRig { DrainAt = 3, CutAt = Tokens };
        rig.Gateway.Link.Script = (replica, attempt, at) => replica == "b" ? Act.BreakConnection : rig.DrainAtIndex(replica, attempt, at);

        await using var session = rig.Gateway.Sessions.Start(Gateway.Request(Tokens));
        var received = Assert.Single(await Received.AllAsync(session));

        Assert.Equal(ScriptedLink.TextOf(7, Tokens), received.Text);
        Assert.Empty(session.Failovers);
        Assert.Equal("a", session.Replica);
        await rig.EverythingIsReleasedAsync(session);
    }

    [Theory]
    [InlineData(Fault.ConnectionLost, false)]
    [InlineData(Fault.Unreachable, false)]
    [InlineData(Fault.EngineFailed, true)]
    [InlineData(Fault.ResumeRefused, true)]
    public async Task Drain_ContinueFails_StreamGoesOnWhereItWasAndOnlyAReplicaThatCannotBeTalkedToIsTakenOut(Fault error, bool isReachable)
    {
        using var rig = new HandOverRig { DrainAt = 3, CutAt = 6 };
        var failed = false;
        rig.Gateway.Link.OnContinue = () =>
        {
            failed = true;
            return new FaultException(error, "no");
        };
        rig.Gateway.Link.Script = (replica, attempt, at) => failed ? Act.Answer : rig.DrainAtIndex(replica, attempt, at);

        await using var session = rig.Gateway.Sessions.Start(Gateway.Request(Tokens));
        var received = Assert.Single(await Received.AllAsync(session));

        Assert.Equal(ScriptedLink.TextOf(7, Tokens), received.Text);
        Assert.True(failed);
        Assert.Empty(session.Failovers);
        Assert.Equal(isReachable, rig.Gateway.Fleet.Current.Replicas.Single(replica => replica.Id.Name == "b").Reachable);
        await rig.EverythingIsReleasedAsync(session);
    }

    [Theory]
    [InlineData(1.0, false)]
    [InlineData(1.5, true)] // the gateway itself stood still: the answer may wait unread
    public async Task Drain_ContinueIsNotAnsweredInTime_ReplicaIsTakenOutUnlessTheGatewayWasLateAndStreamGoesOnWhereItWas(double seconds, bool isReachable)
    {
        using var rig = new HandOverRig { DrainAt = 3, CutAt = 6 };
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        rig.Gateway.Link.ContinueAnswered = new TaskCompletionSource().Task;
        rig.Gateway.Link.OnContinue = () =>
        {
            asked.TrySetResult();
            return null;
        };
        rig.Gateway.Link.Script = (replica, attempt, at) => asked.Task.IsCompleted ? Act.Answer : rig.DrainAtIndex(replica, attempt, at);

        await using var session = rig.Gateway.Sessions.Start(Gateway.Request(Tokens));
        var reading = Received.AllAsync(session);
        await asked.Task.WaitAsync(TimeSpan.FromSeconds(30));
        rig.Gateway.Time.Advance(TimeSpan.FromSeconds(seconds));
        var received = Assert.Single(await reading);

        Assert.Equal(ScriptedLink.TextOf(7, Tokens), received.Text);
        Assert.Equal(isReachable, rig.Gateway.Fleet.Current.Replicas.Single(replica => replica.Id.Name == "b").Reachable);
        await rig.EverythingIsReleasedAsync(session);
    }

    [Fact]
    public async Task Drain_OldReplicaDiesWhileOtherHolds_GoesOnThereWithoutAThirdAttempt()
    {
        using var rig = new HandOverRig { DrainAt = 3, CutAt = Tokens };
        var holding = new TaskCompletionSource();
        rig.Gateway.Link.StandbyReady = holding.Task;
        rig.Gateway.Link.Script = (replica, attempt, at) =>
        {
            if (replica != "a" || at != 6)
                return rig.DrainAtIndex(replica, attempt, at);
            holding.TrySetResult();
            return Act.BreakConnection;
        };

        await using var session = rig.Gateway.Sessions.Start(Gateway.Request(Tokens));
        var received = Assert.Single(await Received.AllAsync(session));

        Assert.Equal(ScriptedLink.TextOf(7, Tokens), received.Text);
        Assert.Equal("connection_lost", Assert.Single(session.Failovers).Reason);
        Assert.Equal(2, session.Attempts);
        await rig.EverythingIsReleasedAsync(session);
    }

    [Fact]
    public async Task Drain_ManyStreams_AreReadElsewhereAFewAtATime()
    {
        const int Streams = 10;
        const int EnoughForAllToBegin = 5000;
        ReplicaDescription a = Replica("a", slots: Streams), b = Replica("b", slots: Streams, weight: 0.001);
        using var gateway = new Gateway(new StaticFleet(a, b), streaming: new StreamingOptions { HandOversAtOnce = 3 });
        var holding = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Link.StandbyReady = holding.Task;
        int begun = 0, rounds = 0, leased = 0;
        gateway.Link.Script = (replica, _, at) =>
        {
            if (replica == "a" && at == 3 && Interlocked.Increment(ref begun) == Streams)
                gateway.Source.Set(a with { Draining = true, HandOver = true }, b);
            if (gateway.Link.MaxPreparingStandbys >= 3 && Interlocked.Increment(ref rounds) == EnoughForAllToBegin)
            {
                leased = gateway.Admission.Leased;
                holding.SetResult();
            }
            return replica == "a" && at == 4 ? Act.Idle : Act.Answer;
        };

        await using var session = gateway.Sessions.Start(Gateway.Request(Tokens, n: Streams));
        var received = await Received.AllAsync(session, Streams);

        Assert.All(received, choice => Assert.Equal(Tokens, choice.Ids.Count));
        Assert.Equal(Streams, session.Failovers.Count(failover => failover.Reason == "draining"));
        Assert.Equal(3, gateway.Link.MaxPreparingStandbys); // All ten, where nothing bounds them.
        Assert.Equal(Streams + 3, leased); // Those that waited for their turn had taken a slot before, and left it idle.
        Assert.Equal(0, gateway.Admission.Leased);
    }

    [Fact]
    public async Task Drain_NoSlotElsewhere_WaitsForOneWhileTheStreamGoesOn()
    {
        using var rig = new HandOverRig(slotsElsewhere: 1) { DrainAt = 3, CutAt = 8 };
        using var busy = await rig.Gateway.Admission.AcquireAsync(HandOverRig.OnlyB, default);

        await using var session = rig.Gateway.Sessions.Start(Gateway.Request(Tokens));
        var reading = Received.AllAsync(session);
        await rig.Gateway.UntilWaitingAsync();
        busy.Dispose();
        var received = Assert.Single(await reading);

        Assert.Equal(ScriptedLink.TextOf(7, Tokens), received.Text);
        Assert.Equal("draining", Assert.Single(session.Failovers).Reason);
        await rig.EverythingIsReleasedAsync(session);
    }

    [Fact]
    public async Task Undrain_WhileWaitingForASlot_LeavesTheLine()
    {
        using var rig = new HandOverRig(slotsElsewhere: 1) { DrainAt = 3, CutAt = Tokens };
        rig.Gateway.Link.Script = (replica, attempt, at) =>
        {
            if (replica == "a" && at == 6)
                rig.Undrain();
            return rig.DrainAtIndex(replica, attempt, at);
        };
        using var busy = await rig.Gateway.Admission.AcquireAsync(HandOverRig.OnlyB, default);

        await using var session = rig.Gateway.Sessions.Start(Gateway.Request(Tokens));
        var received = Assert.Single(await Received.AllAsync(session));

        Assert.Equal(ScriptedLink.TextOf(7, Tokens), received.Text);
        Assert.Empty(session.Failovers);
        Assert.Equal(0, rig.Gateway.Admission.Waiting);
    }

    [Fact]
    public async Task Drain_ClientWantsNoFailover_StreamStays()
    {
        using var rig = new HandOverRig { DrainAt = 3, CutAt = Tokens };
        var request = Gateway.Request(Tokens);
        request.Failover = FailoverPolicy.Never;

        await using var session = rig.Gateway.Sessions.Start(request);
        await Received.AllAsync(session);

        Assert.Equal(["a"], rig.Gateway.Link.Attempts.Select(attempt => attempt.Replica));
    }
}
