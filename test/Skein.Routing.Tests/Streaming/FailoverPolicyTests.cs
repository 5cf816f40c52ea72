using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Streaming;

/// <summary>How a stream goes on where the engine cannot resume it exactly, and where the client does not want it to.</summary>
public sealed class FailoverPolicyTests
{
    private const int Tokens = 12;

    public static TheoryData<ResumeTier, FailoverPolicy, int> EveryReplayAtEveryIndex()
    {
        var data = new TheoryData<ResumeTier, FailoverPolicy, int>();
        for (var index = 0; index <= Tokens; index++)
        {
            data.Add(ResumeTier.None, FailoverPolicy.Unspecified, index);
            data.Add(ResumeTier.None, FailoverPolicy.Exact, index);
            data.Add(ResumeTier.Text, FailoverPolicy.Exact, index);
            data.Add(ResumeTier.Tokens, FailoverPolicy.Exact, index);
        }
        return data;
    }

    [Theory]
    [MemberData(nameof(EveryReplayAtEveryIndex))]
    public async Task Session_CannotBeResumedAsRequested_IsGeneratedAgainUnnoticed(ResumeTier tier, FailoverPolicy policy, int index)
    {
        using var gateway = Lost(tier, index);

        await using var session = gateway.Sessions.Start(Request(policy));
        var received = Assert.Single(await Received.AllAsync(session));

        Assert.Equal(ScriptedLink.TextOf(7, Tokens), received.Text);
        Assert.Equal(Tokens, received.Ids.Count);
        Assert.Equal(1, received.Starts);
        Assert.Equal([0, 0], gateway.Link.Attempts.Select(attempt => attempt.ResumedAt));
        Assert.Equal(index, Assert.Single(session.Failovers).TokenIndex);
    }

    [Theory]
    [InlineData(ResumeTier.Tokens)]
    [InlineData(ResumeTier.Text)]
    public async Task Session_BestEffort_IsResumedFromTheJournal(ResumeTier tier)
    {
        using var gateway = Lost(tier, 5);

        var request = Request(FailoverPolicy.BestEffort);
        request.Sampling.Temperature = 0;
        await using var session = gateway.Sessions.Start(request);
        await Received.AllAsync(session);

        Assert.Equal([0, 5], gateway.Link.Attempts.Select(attempt => attempt.ResumedAt));
    }

    /// <summary>The engine's random numbers begin anew when it continues from ids. Made again, the answer is the same.</summary>
    [Fact]
    public async Task Session_ClientChoseTheSeed_IsGeneratedAgainAndEqual()
    {
        using var gateway = Lost(ResumeTier.Tokens, 5);

        await using var session = gateway.Sessions.Start(Request(FailoverPolicy.BestEffort));
        var received = Assert.Single(await Received.AllAsync(session));

        Assert.Equal(ScriptedLink.TextOf(7, Tokens), received.Text);
        Assert.Equal([0, 0], gateway.Link.Attempts.Select(attempt => attempt.ResumedAt));
    }

    /// <summary>As servers count: several choices are the same answers with and without a gateway.</summary>
    [Fact]
    public async Task Session_SeveralChoices_HaveTheSeedsThatFollow()
    {
        using var gateway = Lost(ResumeTier.Exact, int.MaxValue);
        var request = Request(FailoverPolicy.BestEffort);
        (request.N, request.Sampling.Seed) = (3, ulong.MaxValue);

        await using var session = gateway.Sessions.Start(request);
        await Received.AllAsync(session, 3);

        Assert.Equal([(0u, ulong.MaxValue), (1u, 0UL), (2u, 1UL)], gateway.Link.Attempts.Select(attempt => (attempt.Choice, attempt.Seed)).Order());
    }

    [Fact]
    public async Task Session_GatewayDrewTheSeed_IsResumedFromTheJournal()
    {
        using var gateway = Lost(ResumeTier.Tokens, 5);
        var request = Request(FailoverPolicy.BestEffort);
        request.Sampling = null;

        await using var session = gateway.Sessions.Start(request);
        await Received.AllAsync(session);

        Assert.Equal([0, 5], gateway.Link.Attempts.Select(attempt => attempt.ResumedAt));
    }

    [Fact]
    public async Task Session_SeededAnswerComesOutOtherwise_IsContinuedFromTheJournal()
    {
        using var gateway = Lost(ResumeTier.Tokens, 5);
        gateway.Link.SeedDrift = 1;

        await using var session = gateway.Sessions.Start(Request(FailoverPolicy.BestEffort));
        var received = Assert.Single(await Received.AllAsync(session));

        Assert.Equal(Tokens, received.Ids.Count);
        Assert.StartsWith(ScriptedLink.TextOf(7, 5), received.Text, StringComparison.Ordinal);
        Assert.Equal([0, 0, 5], gateway.Link.Attempts.Select(attempt => attempt.ResumedAt));
    }

    /// <summary>An engine may continue more than it promises, such as an answer in a grammar from its text.</summary>
    [Fact]
    public async Task Session_MadeAgainIsAnotherAnswer_IsContinuedIfTheEngineCan()
    {
        using var gateway = Lost(ResumeTier.None, 5);
        gateway.Link.SeedDrift = 1;
        var lastResorts = new List<bool>();
        gateway.Link.Refuse = (_, request) =>
        {
            lastResorts.Add(request.LastResort);
            return null;
        };

        await using var session = gateway.Sessions.Start(Request(FailoverPolicy.Unspecified));
        var received = Assert.Single(await Received.AllAsync(session));

        Assert.Equal(Tokens, received.Ids.Count);
        Assert.Equal([false, false, true], lastResorts);
        Assert.Equal([0, 0, 5], gateway.Link.Attempts.Select(attempt => attempt.ResumedAt));
    }

    [Theory]
    [InlineData(FailoverPolicy.Exact, 2)]
    [InlineData(FailoverPolicy.BestEffort, 3)]
    public async Task Session_MadeAgainIsAnotherAnswer_EndsInAnErrorAndNotInAnotherAnswer(FailoverPolicy policy, int attempts)
    {
        using var gateway = Lost(ResumeTier.None, 5);
        gateway.Link.SeedDrift = 1;
        gateway.Link.GivesIds = false;
        var asked = 1;
        gateway.Link.Refuse = (_, request) =>
        {
            asked = Math.Max(asked, (int)request.Attempt);
            return request.Resume is null ? null : new FaultException(Fault.ResumeRefused, "it cannot be continued");
        };

        await using var session = gateway.Sessions.Start(Request(policy));
        var received = new Received();
        var error = await Assert.ThrowsAsync<FaultException>(() => ReadIntoAsync(session, received));

        Assert.Equal((Fault.StreamLost, attempts), (error.Fault, asked));
        Assert.Contains("after token 5", error.Message, StringComparison.Ordinal);
        Assert.Equal(ScriptedLink.TextOf(7, 5), received.Text);
        Assert.Equal(0, gateway.Admission.Leased);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Session_MadeAgainTooSlowly_IsTriedOnOneOtherReplica(int slowAttempts)
    {
        using var gateway = Lost(ResumeTier.None, 8, new StreamingOptions { MaxReplay = TimeSpan.FromSeconds(2) }, "a", "b", "c");
        var script = gateway.Link.Script;
        gateway.Link.Script = (replica, attempt, at) =>
        {
            if (attempt > 1 && attempt <= slowAttempts)
                gateway.Time.Advance(TimeSpan.FromMilliseconds(500));
            return script(replica, attempt, at);
        };

        await using var session = gateway.Sessions.Start(Request(FailoverPolicy.Exact));
        var received = new Received();
        var error = await Record.ExceptionAsync(() => ReadIntoAsync(session, received));

        Assert.Equal(3, gateway.Link.Attempts.Select(attempt => attempt.Replica).Distinct().Count());
        if (slowAttempts == 2)
            Assert.Equal((null, ScriptedLink.TextOf(7, Tokens)), (error, received.Text));
        else
            Assert.Contains("more than 2 s", error?.Message, StringComparison.Ordinal);
    }

    /// <summary>A replica that fell silent while it caught up was left only by the engine's bound on silence, 60 s.</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Session_MadeAgainAndSilent_IsTriedOnOneOtherReplica(int silentAttempts)
    {
        using var gateway = Lost(ResumeTier.None, 8, new StreamingOptions { MaxReplay = TimeSpan.FromSeconds(2), LinkSilence = TimeSpan.FromMinutes(1) }, "a", "b", "c");
        var silent = new SemaphoreSlim(0);
        var script = gateway.Link.Script;
        gateway.Link.Script = (replica, attempt, at) =>
        {
            if (attempt <= 1 || attempt > silentAttempts || at != 5)
                return script(replica, attempt, at);
            silent.Release();
            return Act.Hang;
        };

        await using var session = gateway.Sessions.Start(Request(FailoverPolicy.Exact));
        var received = new Received();
        var reading = Record.ExceptionAsync(() => ReadIntoAsync(session, received)).AsTask();
        for (var attempt = 2; attempt <= silentAttempts; attempt++)
        {
            Assert.True(await silent.WaitAsync(TimeSpan.FromSeconds(30), CancellationToken.None), $"attempt {attempt} did not come");
            gateway.Time.Advance(TimeSpan.FromMilliseconds(1_900));
            Assert.Equal(attempt, gateway.Link.Attempts.Count);
            gateway.Time.Advance(TimeSpan.FromMilliseconds(150));
        }
        var error = await reading.WaitAsync(TimeSpan.FromSeconds(30), CancellationToken.None);

        Assert.Equal(3, gateway.Link.Attempts.Select(attempt => attempt.Replica).Distinct().Count());
        if (silentAttempts == 2)
            Assert.Equal((null, ScriptedLink.TextOf(7, Tokens)), (error, received.Text));
        else
            Assert.Contains("more than 2 s", error?.Message, StringComparison.Ordinal);
    }

    /// <summary>The bound ends with the catching up: what follows may be slower.</summary>
    [Fact]
    public async Task Session_MadeAgainAndSilentAfterCatchingUp_IsNotLeft()
    {
        using var gateway = Lost(ResumeTier.None, 5, new StreamingOptions { MaxReplay = TimeSpan.FromSeconds(2), LinkSilence = TimeSpan.FromMinutes(1) });
        gateway.Link.Gate = System.Threading.Channels.Channel.CreateUnbounded<int>();
        for (var token = 0; token < 5 + 6; token++)
            gateway.Link.Gate.Writer.TryWrite(token);

        await using var session = gateway.Sessions.Start(Request(FailoverPolicy.Exact));
        var received = new Received();
        while (received.Ids.Count < 6)
        {
            await session.WaitToReadAsync(CancellationToken.None).AsTask().WaitAsync(TimeSpan.FromSeconds(30), CancellationToken.None);
            while (session.TryRead(out var frame))
                received.Add(frame);
        }
        gateway.Time.Advance(TimeSpan.FromSeconds(20));
        for (var token = 0; token < Tokens; token++)
            gateway.Link.Gate.Writer.TryWrite(token);
        await ReadIntoAsync(session, received);

        Assert.Equal(ScriptedLink.TextOf(7, Tokens), received.Text);
        Assert.Equal(2, gateway.Link.Attempts.Count);
    }

    /// <summary>Five tokens behind a prompt of 270 were lost on a busy server: it took longer to read the prompt than the whole answer may take.</summary>
    [Fact]
    public async Task Session_MadeAgainAfterALongPrefill_CountsOnlyTheTimeFromItsFirstToken()
    {
        using var gateway = Lost(ResumeTier.None, 5, new StreamingOptions { MaxReplay = TimeSpan.FromSeconds(2) });
        var script = gateway.Link.Script;
        gateway.Link.Script = (replica, attempt, at) =>
        {
            if (attempt == 2 && at == 0)
                gateway.Time.Advance(TimeSpan.FromSeconds(60));
            return script(replica, attempt, at);
        };

        await using var session = gateway.Sessions.Start(Request(FailoverPolicy.Exact));

        Assert.Equal(ScriptedLink.TextOf(7, Tokens), Assert.Single(await Received.AllAsync(session)).Text);
    }

    [Fact]
    public async Task Session_ClientWantsNoFailover_EndsInAnErrorAtOnce()
    {
        using var gateway = Lost(ResumeTier.Exact, 5);

        await using var session = gateway.Sessions.Start(Request(FailoverPolicy.Never));
        var error = await Assert.ThrowsAsync<FaultException>(() => Received.AllAsync(session));

        Assert.Equal(Fault.StreamLost, error.Fault);
        Assert.Single(gateway.Link.Attempts);
    }

    [Fact]
    public async Task Session_ClientWantsNoFailoverAndNothingWasSent_IsTriedElsewhere()
    {
        using var gateway = Lost(ResumeTier.Exact, 0);

        await using var session = gateway.Sessions.Start(Request(FailoverPolicy.Never));

        Assert.Equal(ScriptedLink.TextOf(7, Tokens), Assert.Single(await Received.AllAsync(session)).Text);
    }

    [Fact]
    public async Task Session_EngineFaultsBeyondTheBudget_AreNotRetried()
    {
        using var gateway = new Gateway(
            new StaticFleet(Replica("a"), Replica("b")), streaming: new StreamingOptions { RetryBurst = 1, RetryShare = 0 });
        gateway.Link.Script = (_, attempt, at) => attempt == 1 && at == 5 ? Act.FailEngine : Act.Answer;

        await using (var first = gateway.Sessions.Start(Gateway.Request(Tokens)))
            await Received.AllAsync(first);
        await using var second = gateway.Sessions.Start(Gateway.Request(Tokens));
        var error = await Assert.ThrowsAsync<FaultException>(() => Received.AllAsync(second));

        Assert.Equal(Fault.StreamLost, error.Fault);
        Assert.Equal(3, gateway.Link.Attempts.Count);
    }

    private static Gateway Lost(ResumeTier tier, int index, StreamingOptions? streaming = null, params string[] replicas)
    {
        var names = replicas.Length == 0 ? ["a", "b"] : replicas;
        var gateway = new Gateway(new StaticFleet([.. names.Select(name => Replica(name))]), streaming: streaming);
        gateway.Link.Tier = tier;
        gateway.Link.Script = (_, attempt, at) => attempt == 1 && at == index ? Act.BreakConnection : Act.Answer;
        return gateway;
    }

    private static GenerateRequest Request(FailoverPolicy policy)
    {
        var request = Gateway.Request(Tokens);
        request.Failover = policy;
        return request;
    }

    private static async Task ReadIntoAsync(IGenerationSession session, Received received)
    {
        while (await session.WaitToReadAsync(CancellationToken.None))
        {
            while (session.TryRead(out var frame))
                received.Add(frame);
        }
    }
}
