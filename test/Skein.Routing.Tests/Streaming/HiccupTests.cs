using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Streaming;

/// <summary>Faults that pass, and faults that the request causes, in front of few servers.</summary>
public sealed class HiccupTests
{
    private const uint Tokens = 6;

    public static TheoryData<Fault, int?> Hiccups() => new()
    {
        { Fault.EngineFailed, 500 },
        { Fault.EngineBusy, 503 },
        { Fault.EngineBusy, 429 },
        { Fault.ConnectionLost, null },
        { Fault.EngineFailed, null },
        { Fault.NoFinish, null },
        { Fault.EngineStall, null },
        { Fault.EngineTimedOut, null },
    };

    [Theory]
    [MemberData(nameof(Hiccups))]
    public async Task Session_TheOnlyServerFailsOnce_IsAskedAgainAfterAShortPause(Fault fault, int? status)
    {
        foreach (var policy in new[] { FailoverPolicy.BestEffort, FailoverPolicy.Never })
        {
            using var gateway = new Gateway(new StaticFleet(Replica("a")));
            gateway.Link.Refuse = (_, request) => request.Attempt > 1 ? null
                : status is { } code ? Losses.Answered(fault, code) : new FaultException(fault, "a hiccup");
            var request = Gateway.Request(Tokens);
            request.Failover = policy;

            await using var session = gateway.Sessions.Start(request);
            var reading = Received.AllAsync(session);
            await gateway.UntilWaitingAsync();
            if (fault == Fault.ConnectionLost)
                gateway.Fleet.MarkReachable(gateway.Fleet.Current.Replicas[0]);
            Assert.Single(gateway.Link.Attempts);
            gateway.Time.Advance(TimeSpan.FromMilliseconds(150));

            Assert.Equal(ScriptedLink.TextOf(7, (int)Tokens), Assert.Single(await reading).Text);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Session_TheRequestCausesTheServersError_EndsInTheServersWordsAfterOneOtherTry(int servers)
    {
        using var gateway = new Gateway(new StaticFleet([.. Enumerable.Range(0, servers).Select(i => Replica($"r{i}"))]));
        gateway.Link.Refuse = (_, _) => Losses.Answered(Fault.EngineFailed, 500);

        await using var session = gateway.Sessions.Start(Gateway.Request(Tokens));
        var reading = Received.AllAsync(session);
        if (servers == 1)
        {
            await gateway.UntilWaitingAsync();
            gateway.Time.Advance(TimeSpan.FromMilliseconds(150));
        }
        var error = await Assert.ThrowsAsync<FaultException>(() => reading);

        Assert.Equal("words of 500", error.Engine!.Message);
        Assert.Equal(servers, gateway.Link.Attempts.Select(attempt => attempt.Replica).Distinct().Count());
        Assert.Equal(2, gateway.Link.Attempts.Count);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Session_EveryServerIsBusyForLong_IsToldAtOnceWhenToComeBack(int servers)
    {
        using var gateway = new Gateway(new StaticFleet([.. Enumerable.Range(0, servers).Select(i => Replica($"r{i}"))]));
        gateway.Link.Refuse = (_, _) => Losses.Answered(Fault.EngineBusy, 429, TimeSpan.FromSeconds(7));

        await using var session = gateway.Sessions.Start(Gateway.Request(Tokens));
        var error = await Assert.ThrowsAsync<FaultException>(() => Received.AllAsync(session));

        Assert.Equal((Fault.EngineBusy, 429, TimeSpan.FromSeconds(7)), (error.Fault, error.Engine!.Status, error.RetryAfter));
        Assert.Equal(servers, gateway.Link.Attempts.Count);
    }

    [Fact]
    public async Task Session_EveryServerIsBusyForAMoment_WaitsAsLongAsTheyAskedFor()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b")));
        gateway.Link.Refuse = (_, request) => request.Attempt > 2 ? null : Losses.Answered(Fault.EngineBusy, 503, TimeSpan.FromSeconds(1.5));

        await using var session = gateway.Sessions.Start(Gateway.Request(Tokens));
        var reading = Received.AllAsync(session);
        await gateway.UntilWaitingAsync();
        gateway.Time.Advance(TimeSpan.FromSeconds(1.4));
        Assert.Equal(2, gateway.Link.Attempts.Count);
        gateway.Time.Advance(TimeSpan.FromSeconds(0.2));

        Assert.Equal(ScriptedLink.TextOf(7, (int)Tokens), Assert.Single(await reading).Text);
    }

    [Fact]
    public async Task Session_TheKeyIsRefusedEverywhere_EndsAtOnceAndSaysSo()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b")));
        gateway.Link.Refuse = (_, _) => Losses.Answered(Fault.EngineKeyRefused, 401);

        await using var session = gateway.Sessions.Start(Gateway.Request(Tokens));
        var error = await Assert.ThrowsAsync<FaultException>(() => Received.AllAsync(session));

        Assert.Equal((Fault.EngineKeyRefused, "the engine answered 401", null), (error.Fault, error.Message, error.Engine));
        Assert.Equal(2, gateway.Link.Attempts.Count);
    }

    [Fact]
    public async Task Session_ErrorOfTheRequest_KeepsTheEnginesWords()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b")));
        gateway.Link.Refuse = (_, _) => Losses.Answered(Fault.InvalidRequest, 422);

        await using var session = gateway.Sessions.Start(Gateway.Request(Tokens));
        var error = await Assert.ThrowsAsync<FaultException>(() => Received.AllAsync(session));

        Assert.Equal((Fault.InvalidRequest, 422), (error.Fault, error.Engine!.Status));
        Assert.Single(gateway.Link.Attempts);
    }

    /// <summary>The last server is gone after it failed: the client is told what it said.</summary>
    [Fact]
    public async Task Session_NoReplicaIsLeftAfterAnError_EndsInTheServersWords()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a")));
        gateway.Link.Refuse = (_, _) => Losses.Answered(Fault.EngineFailed, 500);

        await using var session = gateway.Sessions.Start(Gateway.Request(Tokens));
        var reading = Received.AllAsync(session);
        await gateway.UntilWaitingAsync();
        gateway.Source.Set([], complete: true, "m");
        gateway.Time.Advance(TimeSpan.FromSeconds(31));
        var error = await Assert.ThrowsAsync<FaultException>(() => reading);

        Assert.Equal(500, error.Engine!.Status);
    }

    [Fact]
    public async Task Session_ServerIsGoneAndBack_GoesOnThere()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a")));
        using var monitor = new ReachabilityMonitor(gateway.Fleet, gateway.Link, gateway.Time, new TestLog<ReachabilityMonitor>());
        var isUp = true;
        gateway.Link.Answers = _ => isUp;
        gateway.Link.Script = (_, attempt, at) =>
        {
            if (attempt > 1 || at < 3)
                return Act.Answer;
            isUp = false;
            return Act.BreakConnection;
        };

        await using var session = gateway.Sessions.Start(Gateway.Request(Tokens));
        var reading = Received.AllAsync(session);
        await gateway.UntilWaitingAsync();
        Pass(gateway, TimeSpan.FromSeconds(10));
        Assert.Single(gateway.Link.Attempts);
        isUp = true;
        Pass(gateway, TimeSpan.FromSeconds(0.8));

        Assert.Equal(ScriptedLink.TextOf(7, (int)Tokens), Assert.Single(await reading).Text);
    }

    /// <summary>One client's requests must not use up what all clients have.</summary>
    [Fact]
    public async Task Session_BusyServerIsAskedAgainAndAgain_UsesOnlyItsShareOfTheRetries()
    {
        using var gateway = new Gateway(
            new StaticFleet(Replica("a")), streaming: new StreamingOptions { MaxAttempts = 100, RetryBurst = 20, RetryShare = 0, RetryRequestShare = 0.25 });
        gateway.Link.Refuse = (_, _) => Losses.Answered(Fault.EngineBusy, 503);

        await using var session = gateway.Sessions.Start(Gateway.Request(Tokens));
        var reading = Received.AllAsync(session);
        while (!reading.IsCompleted)
        {
            gateway.Time.Advance(TimeSpan.FromMilliseconds(50));
            await Task.Yield();
        }
        var error = await Assert.ThrowsAsync<FaultException>(() => reading);

        Assert.Equal(Fault.EngineBusy, error.Fault);
        Assert.Equal(6, gateway.Link.Attempts.Count);
    }

    [Theory]
    [InlineData(true, 3)]
    [InlineData(false, 2)]
    public async Task Session_ResumeIsRefused_IsTriedByTheNextLowerTierAtOnce(bool givesIds, int resumed)
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b")));
        (gateway.Link.Tier, gateway.Link.GivesIds) = (givesIds ? ResumeTier.Tokens : ResumeTier.Text, givesIds);
        gateway.Link.Script = (_, attempt, at) => attempt == 1 && at == 5 ? Act.BreakConnection : Act.Answer;
        var resumes = new List<Resume?>();
        gateway.Link.Refuse = (_, request) =>
        {
            if (request.Attempt > 1)
                resumes.Add(request.Resume);
            return request.Resume is null ? null : new FaultException(Fault.ResumeRefused, "the answer passed its end token");
        };

        var asked = Gateway.Request(Tokens);
        asked.Sampling.Temperature = 0;
        await using var session = gateway.Sessions.Start(asked);
        var received = Assert.Single(await Received.AllAsync(session));

        Assert.Equal(ScriptedLink.TextOf(7, (int)Tokens), received.Text);
        Assert.Equal(resumed, resumes.Count);
        if (givesIds)
            Assert.Equal([5, 0], resumes.Take(2).Select(resume => resume!.TokenIds.Count));
        Assert.Null(resumes[^1]);
        Assert.Single(gateway.Link.Attempts.Skip(1).Select(attempt => attempt.Replica).Distinct());
    }

    private static void Pass(Gateway gateway, TimeSpan time)
    {
        for (; time > TimeSpan.Zero; time -= TimeSpan.FromMilliseconds(50))
            gateway.Time.Advance(TimeSpan.FromMilliseconds(50));
    }
}
