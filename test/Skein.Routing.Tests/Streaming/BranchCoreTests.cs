using Google.Protobuf;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;
using Skein.Routing.Tests.Support;

namespace Skein.Routing.Tests.Streaming;

public sealed class BranchCoreTests
{
    [Theory]
    [InlineData(TokenUnit.Token, TokenUnit.Chunk)]
    [InlineData(TokenUnit.Chunk, TokenUnit.Token)]
    public void Accept_StartCountsOtherThingsThanTheAnswerSoFar_IsAViolation(TokenUnit first, TokenUnit second)
    {
        var core = new BranchCore(new GenerateRequest(), default, new StreamingOptions());
        core.BeginAttempt();
        core.Accept(new GenerateFrame { Attempt = 1, Start = new Start { ResumeTier = ResumeTier.Text, Unit = first } }, out _);
        core.Accept(new GenerateFrame { Attempt = 1, Count = 1, Text = ByteString.CopyFromUtf8("a") }, out _);
        core.Lost(new ReplicaId("a", 1), Fault.ConnectionLost);
        core.BeginAttempt();

        var start = new GenerateFrame { Attempt = 2, FirstIndex = 1, Start = new Start { ResumedAt = 1, ResumeTier = ResumeTier.Text, Unit = second } };

        Assert.Equal(FrameVerdict.Violation, core.Accept(start, out var violation));
        Assert.Equal($"an answer counted in {second} that was counted in {first}", violation);
    }

    /// <summary>What is the same when it is made again goes on exactly, unless nothing is made again.</summary>
    [Theory]
    [InlineData(ResumeTier.None, true, 30, ResumeTier.Exact)]
    [InlineData(ResumeTier.None, true, 0, ResumeTier.None)]
    [InlineData(ResumeTier.None, false, 30, ResumeTier.None)]
    [InlineData(ResumeTier.Text, true, 30, ResumeTier.Text)]
    public void ToldTier_AnswerThatRepeatsExactly_IsExact(ResumeTier tier, bool repeats, int maxReplaySeconds, ResumeTier told)
    {
        var core = new BranchCore(new GenerateRequest(), default, new StreamingOptions { MaxReplay = TimeSpan.FromSeconds(maxReplaySeconds) });
        core.BeginAttempt();

        core.Accept(new GenerateFrame { Attempt = 1, Start = new Start { ResumeTier = tier, RepeatsExactly = repeats } }, out _);

        Assert.Equal((tier, told), (core.ResumeTier, core.ToldTier));
    }

    public static TheoryData<GenerateFrame, string> Lies => new()
    {
        { new() { Count = 4_000_000_000 }, "4000000000 tokens in one frame" },
        { new() { Count = 4 }, "5 tokens of at most 4" },
        { new() { Finish = new Finish { Reason = FinishReason.Stop, Usage = new Usage { CompletionTokens = 4_000_000_000 } } }, "a usage of 0 and 4000000000 tokens" },
        { new() { Finish = new Finish { Reason = FinishReason.Stop, Usage = new Usage { PromptTokens = 4_000_000_000 } } }, "a usage of 4000000000 and 0 tokens" },
    };

    /// <summary>A negative index, answers without an end, and keys that were charged for billions of tokens.</summary>
    [Theory]
    [MemberData(nameof(Lies))]
    public void Accept_MoreTokensThanThereCanBe_IsAViolationAndTheAnswerGoesOnElsewhere(GenerateFrame lie, string expected)
    {
        var core = new BranchCore(new GenerateRequest { MaxTokens = 4 }, default, new StreamingOptions());
        core.BeginAttempt();
        core.Accept(new GenerateFrame { Attempt = 1, Start = new Start { ResumeTier = ResumeTier.Exact } }, out _);
        Assert.Equal(FrameVerdict.Forward, core.Accept(new GenerateFrame { Attempt = 1, Count = 1, TokenIds = { 7 } }, out _));
        (lie.Attempt, lie.FirstIndex) = (1, 1);

        Assert.Equal(FrameVerdict.Violation, core.Accept(lie, out var violation));

        Assert.Equal(expected, violation);
        Assert.Null(core.Lost(new ReplicaId("a", 1), Fault.ProtocolError));
        Assert.Equal((1, 1u), (core.NextIndex, core.BeginAttempt().Resume.NextIndex));
    }

    [Fact]
    public void Accept_PromptOfBillions_IsAViolation()
    {
        var core = new BranchCore(new GenerateRequest(), default, new StreamingOptions());
        core.BeginAttempt();

        Assert.Equal(FrameVerdict.Violation, core.Accept(new GenerateFrame { Attempt = 1, Start = new Start { PromptTokens = 4_000_000_000 } }, out var violation));
        Assert.Equal("a prompt of 4000000000 tokens", violation);
    }

    /// <summary>A reasoning is structured deltas without text: an engine that goes on from the text would refuse, on every replica.</summary>
    [Fact]
    public void BeginAttempt_TextTierWithoutAnyTextYet_GeneratesTheAnswerAgainUntilThereIsSome()
    {
        var core = new BranchCore(new GenerateRequest(), default, new StreamingOptions());
        GenerateFrame Start(uint attempt, uint at) =>
            new() { Attempt = attempt, FirstIndex = at, Start = new Start { ResumeTier = ResumeTier.Text, Unit = TokenUnit.Chunk, ResumedAt = at } };
        GenerateFrame Thought(uint attempt) => new() { Attempt = attempt, Count = 1, RawDelta = ByteString.CopyFromUtf8("{\"reasoning_content\":\"hm\"}") };
        core.BeginAttempt();
        core.Accept(Start(1, at: 0), out _);
        Assert.Equal(FrameVerdict.Forward, core.Accept(Thought(1), out _));
        Assert.False(core.MayMove);
        Assert.Null(core.Lost(new ReplicaId("a", 1), Fault.ConnectionLost));

        var again = core.BeginAttempt();
        Assert.Null(again.Resume);
        core.Accept(Start(2, at: 0), out _);
        Assert.Equal(FrameVerdict.Drop, core.Accept(Thought(2), out _));
        Assert.Equal(FrameVerdict.Forward, core.Accept(new GenerateFrame { Attempt = 2, FirstIndex = 1, Count = 1, Text = ByteString.CopyFromUtf8("So") }, out _));
        Assert.Null(core.Lost(new ReplicaId("b", 1), Fault.ConnectionLost));

        Assert.Equal("So", core.BeginAttempt().Resume.Text.ToStringUtf8());
    }

    [Fact]
    public void Accept_MembersOfTheEngineWithoutTokens_AreForwarded()
    {
        var core = new BranchCore(new GenerateRequest(), default, new StreamingOptions());
        core.BeginAttempt();
        core.Accept(new GenerateFrame { Attempt = 1, Start = new Start { ResumeTier = ResumeTier.Text, Unit = TokenUnit.Chunk } }, out _);

        var members = new GenerateFrame { Attempt = 1, RawChunk = ByteString.CopyFromUtf8("""{"prompt_progress":{"total":8}}""") };

        Assert.Equal(FrameVerdict.Forward, core.Accept(members, out _));
        Assert.Equal(FrameVerdict.Drop, core.Accept(new GenerateFrame { Attempt = 1, EngineAlive = true }, out _));
    }

    /// <summary>A whole answer would fail as a failure of the gateway when it is written.</summary>
    [Theory]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("{}}")]
    public void Accept_DeltaThatIsNoObject_IsAViolation(string delta)
    {
        var core = new BranchCore(new GenerateRequest(), default, new StreamingOptions());
        core.BeginAttempt();
        core.Accept(new GenerateFrame { Attempt = 1, Start = new Start { ResumeTier = ResumeTier.Text, Unit = TokenUnit.Chunk } }, out _);

        var frame = new GenerateFrame { Attempt = 1, Count = 1, RawDelta = ByteString.CopyFromUtf8(delta) };

        Assert.Equal(FrameVerdict.Violation, core.Accept(frame, out var violation));
        Assert.Equal("a delta that is not a JSON object", violation);
    }

    /// <summary>A replica of a later release may know reasons that this gateway cannot tell its clients.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(9)]
    public void Accept_FinishForAnUnknownReason_IsNoEnd(int reason)
    {
        var core = new BranchCore(new GenerateRequest(), default, new StreamingOptions());
        core.BeginAttempt();
        core.Accept(new GenerateFrame { Attempt = 1, Start = new Start { ResumeTier = ResumeTier.Exact } }, out _);

        var verdict = core.Accept(new GenerateFrame { Attempt = 1, Finish = new Finish { Reason = (FinishReason)reason } }, out var violation);

        Assert.Equal(FrameVerdict.Violation, verdict);
        Assert.Equal($"a finish for reason {reason}, which is not known here", violation);
    }

    /// <summary>A resume tier of a later release is treated as none: the answer is generated again.</summary>
    [Fact]
    public void BeginAttempt_UnknownTier_GeneratesTheAnswerAgain()
    {
        var core = new BranchCore(new GenerateRequest(), default, new StreamingOptions());
        core.BeginAttempt();
        core.Accept(new GenerateFrame { Attempt = 1, Start = new Start { ResumeTier = (ResumeTier)9 } }, out _);
        core.Accept(new GenerateFrame { Attempt = 1, Count = 1, TokenIds = { 1 }, Text = ByteString.CopyFromUtf8("x") }, out _);
        Assert.False(core.MayMove);
        Assert.Null(core.Lost(new ReplicaId("a", 1), Fault.ConnectionLost));

        Assert.Null(core.BeginAttempt().Resume);
    }

    [Fact]
    public void Accept_LateFrameOfALostAttempt_IsDroppedAndJournalsNothing()
    {
        var core = new BranchCore(new GenerateRequest(), default, new StreamingOptions());
        GenerateFrame Token(uint attempt, uint index) => new() { Attempt = attempt, FirstIndex = index, Count = 1, TokenIds = { index }, Text = ByteString.CopyFromUtf8("x") };
        core.BeginAttempt();
        core.Accept(new GenerateFrame { Attempt = 1, Start = new Start { ResumeTier = ResumeTier.Exact } }, out _);
        core.Accept(Token(1, 0), out _);
        core.Lost(new ReplicaId("a", 1), Fault.LinkStall);
        core.BeginAttempt();
        core.Accept(new GenerateFrame { Attempt = 2, FirstIndex = 1, Start = new Start { ResumeTier = ResumeTier.Exact, ResumedAt = 1 } }, out _);

        Assert.Equal(FrameVerdict.Drop, core.Accept(Token(1, 1), out var violation));
        Assert.Equal(FrameVerdict.Drop, core.Accept(new GenerateFrame { Attempt = 1, FirstIndex = 2, Finish = new Finish { Reason = FinishReason.Stop } }, out _));

        Assert.Null(violation);
        Assert.Equal(1, core.NextIndex);
        Assert.Equal(FrameVerdict.Forward, core.Accept(Token(2, 1), out _));
    }

    [Fact]
    public void Lost_AfterTokensThatAMovedAttemptMade_IsNotTheSecondInARow()
    {
        var core = new BranchCore(new GenerateRequest(), default, new StreamingOptions());
        void Answer(uint attempt, uint first, int tokens)
        {
            core.Accept(new GenerateFrame { Attempt = attempt, Start = new Start { ResumeTier = ResumeTier.Exact, ResumedAt = first } }, out _);
            for (var i = first; i < first + tokens; i++)
                Assert.Equal(FrameVerdict.Forward, core.Accept(new GenerateFrame { Attempt = attempt, FirstIndex = i, Count = 1, TokenIds = { i } }, out _));
        }

        Answer(core.BeginAttempt().Attempt, first: 0, tokens: 3);
        Assert.Null(core.Lost(new ReplicaId("a", 1), Fault.EngineFailed));
        Answer(core.BeginAttempt().Attempt, first: 3, tokens: 0);
        Assert.Null(core.Lost(new ReplicaId("b", 1), Fault.EngineFailed));
        Answer(core.BeginAttempt().Attempt, first: 3, tokens: 4);
        var challenge = core.PrepareSecondary(new ReplicaId("a", 1), isStandby: true);
        core.Promote(challenge);
        Answer(challenge.Request.Attempt, first: 7, tokens: 0);

        Assert.Null(core.Lost(new ReplicaId("d", 1), Fault.EngineFailed));
    }

    [Theory]
    [InlineData(new[] { 3, 3, 3 }, true)]
    [InlineData(new[] { 3, 4, 5, 6 }, false)]
    [InlineData(new[] { 3, 4, 2, 4 }, true)]
    public void Lost_InAToolCallHeldBack_MakingItAgainIsNoProgress(int[] piecesOfAttempts, bool isPoison)
    {
        var core = new BranchCore(new GenerateRequest(), default, new StreamingOptions());
        FaultException? verdict = null;
        for (var i = 0; i < piecesOfAttempts.Length; i++)
        {
            Assert.Null(verdict);
            var attempt = core.BeginAttempt().Attempt;
            core.Accept(new GenerateFrame { Attempt = attempt, Start = new Start { ResumeTier = ResumeTier.None } }, out _);
            for (uint piece = 0; piece < piecesOfAttempts[i]; piece++)
                Assert.Equal(FrameVerdict.Forward, core.Accept(new GenerateFrame { Attempt = attempt, FirstIndex = piece, Count = 1 }, out _));
            verdict = core.Lost(new ReplicaId($"replica-{i}", 1), Fault.ConnectionLost, TimeSpan.FromSeconds(10 * i));
        }

        Assert.Equal(isPoison, verdict is not null);
        Assert.Equal(piecesOfAttempts.Sum(), core.NextIndex);
    }

    /// <summary>The first server gave ids; the next one refuses them, and continues its text in chunks.</summary>
    [Fact]
    public void Lost_IdsAreRefused_GoesOnFromTheTextInChunks()
    {
        var core = new BranchCore(new GenerateRequest(), default, new StreamingOptions());
        core.BeginAttempt();
        core.Accept(new GenerateFrame { Attempt = 1, Start = new Start { ResumeTier = ResumeTier.Tokens, Unit = TokenUnit.Token } }, out _);
        core.Accept(new GenerateFrame { Attempt = 1, Count = 1, TokenIds = { 5 }, Text = ByteString.CopyFromUtf8("a") }, out _);
        Assert.Null(core.Lost(new ReplicaId("a", 1), Fault.ConnectionLost));
        Assert.Equal([5u], core.BeginAttempt().Resume.TokenIds);

        Assert.Null(core.Lost(new ReplicaId("b", 1), Fault.ResumeRefused));
        var again = core.BeginAttempt();
        Assert.Equal(("a", 1u, 0), (again.Resume.Text.ToStringUtf8(), again.Resume.NextIndex, again.Resume.TokenIds.Count));
        Assert.DoesNotContain(new ReplicaId("b", 1), core.Need().AskAgainAt.Keys);
        var start = new GenerateFrame
        {
            Attempt = 3, FirstIndex = 1, Start = new Start { ResumedAt = 1, ResumeTier = ResumeTier.Text, Unit = TokenUnit.Chunk },
        };
        Assert.Equal(FrameVerdict.Drop, core.Accept(start, out _));
        var piece = new GenerateFrame { Attempt = 3, FirstIndex = 1, Count = 1, Text = ByteString.CopyFromUtf8("b") };
        Assert.Equal(FrameVerdict.Forward, core.Accept(piece, out _));

        Assert.Equal(ResumeTier.Text, core.ResumeTier);
        Assert.Null(core.Lost(new ReplicaId("b", 1), Fault.ConnectionLost));
        var last = core.BeginAttempt();
        Assert.Equal(("ab", 2u, 0), (last.Resume.Text.ToStringUtf8(), last.Resume.NextIndex, last.Resume.TokenIds.Count));
    }

    [Fact]
    public void Lost_IdsAreRefusedAndTheAnswerMustBeExact_IsMadeAgain()
    {
        var core = new BranchCore(new GenerateRequest { Failover = FailoverPolicy.Exact }, default, new StreamingOptions());
        core.BeginAttempt();
        core.Accept(new GenerateFrame { Attempt = 1, Start = new Start { ResumeTier = ResumeTier.Exact, Unit = TokenUnit.Token } }, out _);
        core.Accept(new GenerateFrame { Attempt = 1, Count = 1, TokenIds = { 5 }, Text = ByteString.CopyFromUtf8("a") }, out _);
        Assert.Null(core.Lost(new ReplicaId("a", 1), Fault.ConnectionLost));
        core.BeginAttempt();

        Assert.Null(core.Lost(new ReplicaId("b", 1), Fault.ResumeRefused));

        Assert.Null(core.BeginAttempt().Resume);
    }
}
