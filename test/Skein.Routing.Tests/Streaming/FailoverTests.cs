using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Streaming;

public sealed class FailoverTests
{
    private const uint Tokens = 12;

    public static TheoryData<string, int> EveryFaultAtEveryIndex()
    {
        var data = new TheoryData<string, int>();
        foreach (var act in new[] { Act.BreakConnection, Act.RefuseConnection, Act.FailEngine, Act.EndWithoutFinish, Act.SkipToken, Act.RepeatToken, Act.Drain })
        {
            for (var index = 0; index <= Tokens; index++)
            {
                var noSuchToken = act is Act.SkipToken or Act.RepeatToken && (index == Tokens || (index == 0 && act == Act.RepeatToken));
                if (!noSuchToken)
                    data.Add(act.ToString(), index);
            }
        }
        return data;
    }

    [Theory]
    [MemberData(nameof(EveryFaultAtEveryIndex))]
    public async Task Session_FaultAtIndex_ClientGetsTheUndisturbedAnswer(string fault, int index)
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b")));
        var act = Enum.Parse<Act>(fault);
        gateway.Link.Script = (_, attempt, at) => attempt == 1 && at == index ? act : Act.Answer;

        await using var session = gateway.Sessions.Start(Gateway.Request(Tokens));
        var received = Assert.Single(await Received.AllAsync(session));

        Assert.Equal(ScriptedLink.TextOf(7, (int)Tokens), received.Text);
        Assert.Equal((int)Tokens, received.Ids.Count);
        Assert.Equal(FinishReason.Length, received.Finish!.Reason);
        Assert.Equal(Tokens, received.Finish.Usage.CompletionTokens);
        Assert.Equal(1, received.Starts);
        var failover = Assert.Single(session.Failovers);
        Assert.Equal(index, failover.TokenIndex);
        Assert.Equal(2, gateway.Link.Attempts.Select(attempt => attempt.Replica).Distinct().Count());
        Assert.Equal(0, gateway.Admission.Leased);
    }

    [Fact]
    public async Task Session_FaultOfEveryChoiceAtItsOwnIndex_EachChoiceIsExact()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b"), Replica("c")));
        var lost = new HashSet<(uint, int)>();
        gateway.Link.Script = (_, attempt, at) => attempt <= 2 && at == (int)attempt * 3 ? Act.FailEngine : Act.Answer;

        await using var session = gateway.Sessions.Start(Gateway.Request(Tokens, n: 3));
        var received = await Received.AllAsync(session, 3);

        ulong[] seeds = [.. Enumerable.Range(0, 3).Select(choice => gateway.Link.Attempts.First(attempt => attempt.Choice == choice).Seed)];
        Assert.Equal(3, seeds.Distinct().Count());
        Assert.Equal(7UL, seeds[0]);
        Assert.Equal(seeds.Select(seed => ScriptedLink.TextOf(seed, (int)Tokens)), received.Select(choice => choice.Text));
        Assert.Equal(6, session.Failovers.Count);
        Assert.Equal(0, gateway.Admission.Leased);
    }

    [Theory]
    [InlineData(2, 2)]
    [InlineData(3, 3)]
    [InlineData(4, 3)]
    public async Task Session_TwoLivesFailedItWithTokensInBetween_AsksThemAgainOnlyWhereNobodyElseIs(int replicas, int asked)
    {
        using var gateway = new Gateway(new StaticFleet([.. Enumerable.Range(0, replicas).Select(i => Replica($"r{i}"))]));
        gateway.Link.Script = (_, attempt, at) => attempt <= 2 && at == (int)attempt * 3 ? Act.FailEngine : Act.Answer;

        await using var session = gateway.Sessions.Start(Gateway.Request(Tokens));
        var received = Assert.Single(await Received.AllAsync(session));

        Assert.Equal(ScriptedLink.TextOf(7, (int)Tokens), received.Text);
        string[] tried = [.. gateway.Link.Attempts.Select(attempt => attempt.Replica)];
        Assert.Equal((3, asked), (tried.Length, tried.Distinct().Count()));
        Assert.NotEqual(tried[1], tried[2]);
    }

    /// <summary>
    /// The replica that said the last token before the fatal one made progress: its loss is no evidence. Losses at the same time may have another cause: then
    /// the request runs alone once.
    /// </summary>
    [Theory]
    [InlineData(0, 2, 2)]
    [InlineData(5, 2, 3)]
    [InlineData(0, 0, 3)]
    [InlineData(5, 0, 4)]
    public async Task Session_KillsItsReplicas_IsEndedBeforeItKillsThemAll(int fatalToken, int secondsBetween, int replicasLost)
    {
        using var gateway = new Gateway(new StaticFleet([.. Enumerable.Range(0, 6).Select(i => Replica($"r{i}"))]));
        gateway.Link.Script = (_, attempt, at) =>
        {
            if (at == -1 && attempt > 1)
                gateway.Time.Advance(TimeSpan.FromSeconds(secondsBetween));
            return at == fatalToken ? Act.BreakConnection : Act.Answer;
        };

        await using var session = gateway.Sessions.Start(Gateway.Request(Tokens));
        var reading = Received.AllAsync(session);
        if (secondsBetween == 0)
        {
            await gateway.UntilWaitingAsync();
            Assert.Equal(replicasLost - 1, session.Attempts);
            gateway.Time.Advance(TimeSpan.FromSeconds(1));
        }
        var error = await Assert.ThrowsAsync<FaultException>(() => reading);

        Assert.Equal(Fault.StreamLost, error.Fault);
        Assert.Equal(replicasLost, session.Attempts);
        Assert.Equal(replicasLost, gateway.Link.Attempts.Select(attempt => attempt.Replica).Distinct().Count());
        Assert.Equal(0, gateway.Admission.Leased);
    }

    [Fact]
    public async Task Session_UnreachableReplicas_DoNotCountAsPoison()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b"), Replica("c"), Replica("d")));
        gateway.Link.Script = (_, attempt, at) => attempt <= 3 && at == -1 ? Act.RefuseConnection : Act.Answer;

        await using var session = gateway.Sessions.Start(Gateway.Request(Tokens));
        var received = Assert.Single(await Received.AllAsync(session));

        Assert.Equal(ScriptedLink.TextOf(7, (int)Tokens), received.Text);
        Assert.Equal(4, session.Attempts);
    }

    [Fact]
    public async Task Session_ReplicaRefusesTheRequest_IsNotTriedElsewhere()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b")));
        gateway.Link.Script = (_, _, _) => Act.RefuseRequest;

        await using var session = gateway.Sessions.Start(Gateway.Request(Tokens));
        var error = await Assert.ThrowsAsync<FaultException>(() => Received.AllAsync(session));

        Assert.Equal(Fault.InvalidRequest, error.Fault);
        Assert.Equal("top_p 7 is out of range", error.Message);
        Assert.Single(gateway.Link.Attempts);
        Assert.Equal(0, gateway.Admission.Leased);
    }

    /// <summary>An engine sees one prompt. The client sent several, and looks for the wrong one.</summary>
    [Theory]
    [InlineData("prompt[3]", "prompt[3] is 99; allowed: 0 to 9", "prompt[1][3]", "prompt[1][3] is 99; allowed: 0 to 9")]
    [InlineData("prompt.token_ids[3]", "prompt.token_ids[3] is 99; allowed: 0 to 9", "prompt[1][3]", "prompt[1][3] is 99; allowed: 0 to 9")]
    [InlineData("prompt_embeds", "prompt_embeds is 5; allowed: []", "prompt_embeds", "prompt_embeds is 5; allowed: []")]
    [InlineData("prompt", "the context holds 5 tokens", "prompt[1]", "the context holds 5 tokens")]
    [InlineData("top_p", "top_p is 7; allowed: 0 to 1", "top_p", "top_p is 7; allowed: 0 to 1")]
    [InlineData(null, "no", null, "no")]
    public async Task Session_OneOfSeveralPromptsIsRefused_NamesIt(string? param, string message, string? expectedParam, string expectedMessage)
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a")));
        gateway.Link.Refuse = (_, request) => request.Choice == 2 ? new FaultException(Fault.InvalidRequest, message) { Param = param } : null;
        var request = Gateway.Request(Tokens);
        request.N = 2;

        await using var session = gateway.Sessions.Start(request, [new CompletionPrompt("a", Ids: null), new CompletionPrompt("b", Ids: null)]);
        var error = await Assert.ThrowsAsync<FaultException>(() => Received.AllAsync(session, 4));

        Assert.Equal((Fault.InvalidRequest, expectedParam, expectedMessage), (error.Fault, error.Param, error.Message));
    }

    [Fact]
    public async Task Session_ReplicaHasNoSlot_AsksElsewhereWithoutCountingAFault()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", weight: 1000), Replica("b")));
        gateway.Link.Script = (replica, _, _) => replica == "a" ? Act.RefuseForSlots : Act.Answer;

        await using var session = gateway.Sessions.Start(Gateway.Request(Tokens));
        var received = Assert.Single(await Received.AllAsync(session));

        Assert.Equal(ScriptedLink.TextOf(7, (int)Tokens), received.Text);
        Assert.Empty(session.Failovers);
        Assert.Equal(["a", "b"], gateway.Link.Attempts.Select(attempt => attempt.Replica));
    }

    [Fact]
    public async Task Session_OtherFingerprintOnly_IsNotResumedByIds()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", fingerprint: "x", weight: 1000), Replica("b", fingerprint: "y")));
        gateway.Link.Script = (_, attempt, at) => attempt == 1 && at == 5 ? Act.BreakConnection : Act.Answer;

        await using var session = gateway.Sessions.Start(Gateway.Request(Tokens));
        var reading = Received.AllAsync(session);
        await gateway.UntilWaitingAsync();
        gateway.Time.Advance(TimeSpan.FromSeconds(31));

        var error = await Assert.ThrowsAsync<FaultException>(() => reading);
        Assert.Equal(Fault.StreamLost, error.Fault);
        Assert.Single(gateway.Link.Attempts);
    }

    [Fact]
    public async Task Session_LostReplicaComesBackUnderANewGeneration_GoesOnThere()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a")));
        gateway.Link.Script = (_, attempt, at) => attempt == 1 && at == 5 ? Act.BreakConnection : Act.Answer;

        await using var session = gateway.Sessions.Start(Gateway.Request(Tokens));
        var reading = Received.AllAsync(session);
        await gateway.UntilWaitingAsync();
        gateway.Source.Set(Replica("a", generation: 2));

        Assert.Equal(ScriptedLink.TextOf(7, (int)Tokens), Assert.Single(await reading).Text);
    }
}
