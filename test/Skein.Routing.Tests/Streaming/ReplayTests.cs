using Google.Protobuf;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;

namespace Skein.Routing.Tests.Streaming;

/// <summary>What is cut off an answer that is made again, where engines merge frames or cut text into other pieces.</summary>
public sealed class ReplayTests
{
    [Fact]
    public void Take_FrameHoldsOldAndNewTokens_LeavesTheNewOnes()
    {
        var replay = new Replay(JournalOf(Ids("ab", 1, 2), Ids("c", 3)));

        var merged = Ids("abcde", 1, 2, 3, 4, 5);
        Assert.Null(replay.Take(merged));

        Assert.False(replay.IsBehind);
        Assert.Equal((3u, 2u, "de"), (merged.FirstIndex, merged.Count, merged.Text.ToStringUtf8()));
        Assert.Equal([4u, 5u], merged.TokenIds);
    }

    [Fact]
    public void Take_TokenWithoutTextOfItsOwn_IsStillNew()
    {
        var replay = new Replay(JournalOf(Ids("ab", 1, 2)));
        Assert.Null(replay.Take(Ids("ab", 1, 2)));
        Assert.True(replay.IsBehind);

        var next = Ids("", 3);
        next.FirstIndex = 2;
        Assert.Null(replay.Take(next));

        Assert.False(replay.IsBehind);
        Assert.Equal((2u, 1u), (next.FirstIndex, next.Count));
    }

    /// <summary>The first new token came without its members, such as the ids that a client of vLLM asks for.</summary>
    [Fact]
    public void Take_FirstNewToken_KeepsItsMembers()
    {
        var replay = new Replay(JournalOf(Ids("ab", 1, 2)));
        var known = Ids("ab", 1, 2);
        known.RawChoice = ByteString.CopyFromUtf8("""{"token_ids":[1,2]}""");
        Assert.Null(replay.Take(known));

        var next = Ids("c", 3);
        (next.FirstIndex, next.RawChoice) = (2, ByteString.CopyFromUtf8("""{"token_ids":[3]}"""));
        Assert.Null(replay.Take(next));

        Assert.Empty(known.RawChoice);
        Assert.Equal("""{"token_ids":[3]}""", next.RawChoice.ToStringUtf8());
    }

    [Fact]
    public void Take_PiecesAreCutOtherwise_NumbersGoOnFromTheLastOneDelivered()
    {
        var replay = new Replay(JournalOf(Piece(0, "He"), Piece(1, "llo "), Piece(2, "wo")));

        Assert.Null(replay.Take(Piece(0, "Hello ")));
        Assert.True(replay.IsBehind);
        var across = Piece(1, "world");
        Assert.Null(replay.Take(across));
        var after = Piece(2, "!");
        Assert.Null(replay.Take(after));

        Assert.Equal((3u, "rld"), (across.FirstIndex, across.Text.ToStringUtf8()));
        Assert.Equal((4u, "!"), (after.FirstIndex, after.Text.ToStringUtf8()));
    }

    /// <summary>A frame that is made again may hold many tokens, some of which the client has.</summary>
    [Fact]
    public void Take_PieceWithLogprobsAcrossTheEnd_LeavesThoseOfNewTokens()
    {
        var replay = new Replay(JournalOf(WithLogprobs(0, "a ", "b ")));

        var across = WithLogprobs(0, "a ", "b ", "c ", "d ");
        Assert.Null(replay.Take(across));
        var after = WithLogprobs(4, "e ");
        Assert.Null(replay.Take(after));

        Assert.Equal((2u, 2u, "c d "), (across.FirstIndex, across.Count, across.Text.ToStringUtf8()));
        Assert.Equal(["c ", "d "], across.Logprobs.Select(logprob => logprob.Token.ToStringUtf8()));
        Assert.Equal((4u, 1), (after.FirstIndex, after.Logprobs.Count));
    }

    /// <summary>A parser held back the text of a first blank. Made again, the blank's log probability came twice.</summary>
    [Fact]
    public void Take_OnlyTokensWithoutTextCame_TheirLogprobsDoNotComeAgain()
    {
        var blank = WithLogprobs(0, "");
        var replay = new Replay(JournalOf(blank));

        var again = WithLogprobs(0, "");
        Assert.Null(replay.Take(again));
        var next = WithLogprobs(1, "{");
        Assert.Null(replay.Take(next));

        Assert.Empty(again.Logprobs);
        Assert.Equal("{", Assert.Single(next.Logprobs).Token.ToStringUtf8());
    }

    private static GenerateFrame WithLogprobs(uint first, params string[] tokens)
    {
        var frame = Piece(first, string.Concat(tokens));
        frame.Count = (uint)tokens.Length;
        frame.Logprobs.AddRange(tokens.Select(token => new TokenLogprob { Token = ByteString.CopyFromUtf8(token), Logprob = -1 }));
        return frame;
    }

    [Fact]
    public void Take_OnlyTheFinishIsMissing_LetsItThrough()
    {
        var replay = new Replay(JournalOf(Piece(0, "Hello")));
        Assert.Null(replay.Take(Piece(0, "Hello")));

        Assert.Null(replay.Take(new GenerateFrame { FirstIndex = 1, Finish = new Finish { Reason = FinishReason.Stop } }));

        Assert.False(replay.IsBehind);
    }

    [Fact]
    public void Take_StructuredDeltasInOtherCuts_AreComparedAsOne()
    {
        GenerateFrame Delta(uint index, string json) => new() { FirstIndex = index, Count = 1, RawDelta = ByteString.CopyFromUtf8(json) };
        var replay = new Replay(JournalOf(Delta(0, """{"a":1}"""), Delta(1, """{"b":2}""")));

        Assert.Null(replay.Take(Delta(0, """{"a":1}{"b":2}""")));
        var next = Delta(1, """{"c":3}""");
        Assert.Null(replay.Take(next));

        Assert.Equal((2u, """{"c":3}"""), (next.FirstIndex, next.RawDelta.ToStringUtf8()));
    }

    [Fact]
    public void Take_ToolCallWasHeldBackWhole_IsNotBehindOnceTheTextHasComeAgain()
    {
        var replay = new Replay(JournalOf(Piece(0, "Hi"), Piece(1, ""), Piece(2, "")));
        Assert.True(replay.IsBehind);

        var known = Piece(0, "Hi");
        Assert.Null(replay.Take(known));
        Assert.False(replay.IsBehind);
        var held = Piece(1, "");
        Assert.Null(replay.Take(held));
        GenerateFrame call = new() { FirstIndex = 2, RawDelta = ByteString.CopyFromUtf8("{}"), Finish = new Finish { Reason = FinishReason.ToolCalls } };
        Assert.Null(replay.Take(call));

        Assert.Equal((0u, 3u, "{}"), (known.Count, held.FirstIndex, call.RawDelta.ToStringUtf8()));
    }

    [Fact]
    public void Take_ClientHasSeenNothing_IsNeverBehind()
    {
        var replay = new Replay(JournalOf(Piece(0, ""), Piece(1, "")));

        Assert.False(replay.IsBehind);
        var first = Piece(0, "other");
        Assert.Null(replay.Take(first));

        Assert.Equal((2u, "other"), (first.FirstIndex, first.Text.ToStringUtf8()));
    }

    /// <summary>One engine held back the beginning of a mark, the other did not.</summary>
    [Fact]
    public void Take_TextComesEarlierThanBefore_WaitsForTheFirstNewToken()
    {
        var replay = new Replay(JournalOf(Ids("a", 1), Ids("", 2)));

        var early = Ids("a<", 1);
        var known = Ids("b", 2);
        known.FirstIndex = 1;
        Assert.Null(replay.Take(early));
        Assert.True(replay.IsBehind);
        Assert.Null(replay.Take(known));

        Assert.False(replay.IsBehind);
        Assert.Equal(("", "<b"), (early.Text.ToStringUtf8(), known.Text.ToStringUtf8()));
        Assert.Equal((2u, 0u), (known.FirstIndex, known.Count));
    }

    [Fact]
    public void Take_IdThatTheEngineDidNotTell_IsNoDifference()
    {
        var replay = new Replay(JournalOf(Ids("a", 1, UnknownToken.Id), Ids("b", 3)));

        Assert.Null(replay.Take(Ids("ab", UnknownToken.Id, 2, 3)));
    }

    /// <summary>Reasoning in other pieces, and a call whose id is another one each time.</summary>
    [Fact]
    public void Take_StreamedCallInOtherPieces_LeavesWhatIsNewUnderTheClientsId()
    {
        GenerateFrame Delta(uint index, string json) => new() { FirstIndex = index, Count = 1, RawDelta = ByteString.CopyFromUtf8(json) };
        var replay = new Replay(JournalOf(
            Delta(0, """{"reasoning":"Hm"}"""),
            Delta(1, """{"reasoning":" <ü>"}"""),
            Delta(2, """{"tool_calls":[{"index":0,"id":"one","type":"function","function":{"name":"f","arguments":"{\"a\""}}]}""")));

        Assert.Null(replay.Take(Delta(0, """{"reasoning":"Hm \u003c\u00fc>"}""")));
        Assert.True(replay.IsBehind);
        var across = Delta(1, """{"tool_calls":[{"index":0,"id":"two","type":"function","function":{"name":"f","arguments":"{\"a\": 1"}}]}""");
        Assert.Null(replay.Take(across));

        Assert.False(replay.IsBehind);
        Assert.Equal("""{"tool_calls":[{"index":0,"function":{"arguments":": 1"}}]}""", across.RawDelta.ToStringUtf8());
    }

    [Theory]
    [InlineData("""{"tool_calls":[{"index":0,"id":"one","function":{"name":"g","arguments":""}}]}""")]
    [InlineData("""{"tool_calls":[{"index":0,"id":"one","function":{"name":"f","arguments":"{\"b"}}]}""")]
    [InlineData("""{"reasoning":"x"}""")]
    public void Take_OtherCall_IsFound(string delta)
    {
        var replay = new Replay(JournalOf(
            Ids("", 1), new GenerateFrame
            {
                RawDelta = ByteString.CopyFromUtf8("""{"reasoning":"H","tool_calls":[{"index":0,"id":"one","function":{"name":"f","arguments":"{\"a"}}]}"""),
            }));

        Assert.Equal("its structured deltas differ", replay.Take(new GenerateFrame { Count = 1, RawDelta = ByteString.CopyFromUtf8(delta) }));
    }

    public static TheoryData<string, GenerateFrame> OtherAnswers() => new()
    {
        { "text", Ids("aX", 1, 2) },
        { "ids", Ids("ab", 1, 9) },
        { "an index left out", new GenerateFrame { FirstIndex = 1, Count = 1, Text = ByteString.CopyFromUtf8("a") } },
        { "an early end", new GenerateFrame { Finish = new Finish { Reason = FinishReason.Stop } } },
    };

    [Theory]
    [MemberData(nameof(OtherAnswers), DisableDiscoveryEnumeration = true)]
    public void Take_AnotherAnswer_IsFound(string what, GenerateFrame frame)
    {
        var replay = new Replay(JournalOf(Ids("abc", 1, 2, 3)));

        Assert.True(replay.Take(frame) is { Length: > 0 }, $"other {what} not found");
    }

    private static Journal JournalOf(params GenerateFrame[] frames)
    {
        var journal = new Journal();
        foreach (var frame in frames)
            journal.Append(frame);
        return journal;
    }

    private static GenerateFrame Ids(string text, params uint[] ids) =>
        new() { Count = (uint)ids.Length, TokenIds = { ids }, Text = ByteString.CopyFromUtf8(text) };

    private static GenerateFrame Piece(uint index, string text) =>
        new() { FirstIndex = index, Count = 1, Text = ByteString.CopyFromUtf8(text) };
}
