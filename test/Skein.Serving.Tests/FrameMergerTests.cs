using Google.Protobuf;
using Skein.Protocol.V1;

namespace Skein.Serving.Tests;

public class FrameMergerTests
{
    private static readonly Dictionary<string, (GenerateFrame Frame, GenerateFrame Next)> Apart = new()
    {
        ["start"] = (ScriptedEngine.StartFrame, ScriptedEngine.Token(0)),
        ["heartbeat"] = (new GenerateFrame { Attempt = 1 }, ScriptedEngine.Token(0)),
        ["gap"] = (ScriptedEngine.Token(0), ScriptedEngine.Token(2)),
        ["raw delta"] = (ScriptedEngine.Token(0), With(ScriptedEngine.Token(1), frame => frame.RawDelta = ByteString.CopyFromUtf8("{}"))),
        ["raw choice"] = (ScriptedEngine.Token(0), With(ScriptedEngine.Token(1), frame => frame.RawChoice = ByteString.CopyFromUtf8("{}"))),
        ["raw chunk"] = (ScriptedEngine.Token(0), With(ScriptedEngine.Token(1), frame => frame.RawChunk = ByteString.CopyFromUtf8("{}"))),
        ["raw log probabilities"] = (ScriptedEngine.Token(0), With(ScriptedEngine.Token(1), frame => frame.RawLogprobs = ByteString.CopyFromUtf8("{}"))),
        ["ids of some"] = (ScriptedEngine.Token(0), With(ScriptedEngine.Token(1), frame => frame.TokenIds.Clear())),
        ["logprobs of some"] = (ScriptedEngine.Token(0), With(ScriptedEngine.Token(1), frame => frame.Logprobs.Add(new TokenLogprob()))),
        ["behind the finish"] = (With(ScriptedEngine.Token(0), frame => frame.Finish = new Finish()), ScriptedEngine.Token(1)),
    };

    public static TheoryData<string> Names => [.. Apart.Keys];

    [Fact]
    public void TryAppend_TokensAndFinish_SayTheSameInOneFrame()
    {
        var frame = ScriptedEngine.Token(5, "a");
        var load = new LoadReport { Sequence = 9 };

        Assert.True(FrameMerger.TryAppend(frame, ScriptedEngine.Token(6, "b")));
        Assert.True(FrameMerger.TryAppend(frame, new GenerateFrame { Attempt = 1 }));
        Assert.True(FrameMerger.TryAppend(frame, With(ScriptedEngine.FinishFrame, finish =>
        {
            finish.Text = ByteString.CopyFromUtf8("c");
            finish.Load = load;
        })));

        var expected = new GenerateFrame
        {
            FirstIndex = 5,
            Count = 2,
            TokenIds = { 5, 6 },
            Text = ByteString.CopyFromUtf8("abc"),
            Finish = ScriptedEngine.FinishFrame.Finish,
            Load = load,
        };
        Assert.Equal(expected, frame);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void TryAppend_FramesThatOneCannotSay_ChangesNothing(string name)
    {
        var frame = Apart[name].Frame.Clone();

        Assert.False(FrameMerger.TryAppend(frame, Apart[name].Next));
        Assert.Equal(Apart[name].Frame, frame);
    }

    [Fact]
    public void TryAppend_ManyTokens_StopsAtItsBound()
    {
        var frame = ScriptedEngine.Token(0);
        var next = 1u;
        while (FrameMerger.TryAppend(frame, ScriptedEngine.Token(next)))
        {
            Assert.InRange(++next, 1u, 1000u);
        }

        Assert.Equal(64u, frame.Count);
    }

    private static GenerateFrame With(GenerateFrame frame, Action<GenerateFrame> change)
    {
        change(frame);
        return frame;
    }
}
