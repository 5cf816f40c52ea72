using Google.Protobuf;
using Skein.Engines.OpenAiCompatible.Texts;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>Tool calls come whole or not at all, however the server cuts them.</summary>
public class ToolCallTests
{
    private const string Usage = """{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":7,"total_tokens":16}}""";

    /// <summary>As vLLM streams a text and two parallel calls: names once, arguments in pieces, one of them inside a character's escape.</summary>
    private static readonly string[] TextAndTwoCalls =
    [
        Delta("""{"role":"assistant","content":"","tool_calls":[]}"""),
        Delta("""{"reasoning_content":"Hm"}"""),
        Delta("""{"content":"Let me see. "}"""),
        Delta("""{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"weather","arguments":""}}]}"""),
        Delta("""{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\": \"\ud83d"}}]}"""),
        Delta("""{"tool_calls":[{"index":0,"function":{"arguments":"\ude00 Köln\"}"}}]}"""),
        Delta("""{"tool_calls":[{"index":1,"id":"c2","type":"function","function":{"name":"time"}}]}"""),
        Delta("""{"tool_calls":[{"index":1,"id":null,"function":{"name":"","arguments":"{\"at\": 1.50}"}}]}"""),
        Delta("{}", "\"tool_calls\""),
        Usage,
    ];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task GenerateAsync_TextAndParallelCalls_CallsComeWholeWithTheFinish()
    {
        await using var engine = await Dialogues.Ollama(TextAndTwoCalls).ConnectAsync();

        var frames = await FramesOf(engine);

        Assert.Equal(ResumeTier.None, frames[0].Start.ResumeTier);
        Assert.Equal("""{"reasoning_content":"Hm"}""", frames[1].RawDelta.ToStringUtf8());
        Assert.Equal("Let me see. ", frames[2].Text.ToStringUtf8());
        Assert.All(frames[3..^1], frame => Assert.Equal((1u, 0, 0), (frame.Count, frame.Text.Length, frame.RawDelta.Length)));
        Assert.Equal(Enumerable.Range(0, 7), frames[1..^1].Select(frame => (int)frame.FirstIndex));
        Assert.Equal(
            """{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"weather","arguments":"{\"city\": \"\ud83d\ude00 Köln\"}"}},"""
            + """{"index":1,"id":"c2","type":"function","function":{"name":"time","arguments":"{\"at\": 1.50}"}}]}""",
            frames[^1].RawDelta.ToStringUtf8());
        Assert.Equal((7u, 0u, FinishReason.ToolCalls, 7u), (frames[^1].FirstIndex, frames[^1].Count, frames[^1].Finish.Reason, frames[^1].Finish.Usage.CompletionTokens));
    }

    [Theory]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    public async Task GenerateAsync_CutInOrBetweenCalls_TellsNothingOfThem(int events)
    {
        await using var engine = await Dialogues.Ollama(TextAndTwoCalls[..events]).ConnectAsync();
        var frames = new List<GenerateFrame>();

        var exception = await Assert.ThrowsAsync<FaultException>(() => FramesOf(engine, frames));

        Assert.Equal(Fault.NoFinish, exception.Fault);
        Assert.DoesNotContain(frames, frame => frame.RawDelta.ToStringUtf8().Contains("tool_calls", StringComparison.Ordinal));
        Assert.Equal((uint)events - 1, frames[^1].FirstIndex + frames[^1].Count);
    }

    [Theory]
    [InlineData("all of one index", 0, 0)]
    [InlineData("no index", null, null)]
    [InlineData("gaps", 3, 7)]
    public async Task GenerateAsync_StrangelyNumberedCalls_AreDistinguishedAndNumbered(string how, int? first, int? second)
    {
        await using var engine = await Dialogues.Ollama(
            Delta($$$"""{"tool_calls":[{{{{Index(first)}}}"id":"c1","function":{"name":"f","arguments":"{}"}}]}"""),
            Delta($$$"""{"tool_calls":[{{{{Index(second)}}}"id":"c2","function":{"name":"g","arguments":"{}"}}]}"""),
            Delta("{}", "\"tool_calls\"")).ConnectAsync();

        var calls = (await FramesOf(engine))[^1].RawDelta.ToStringUtf8();

        Assert.True(calls.Contains("\"index\":0", StringComparison.Ordinal) && calls.Contains("\"index\":1", StringComparison.Ordinal), $"{how}: {calls}");
        Assert.Contains("""{"name":"f","arguments":"{}"}""", calls, StringComparison.Ordinal);
        Assert.Contains("""{"name":"g","arguments":"{}"}""", calls, StringComparison.Ordinal);
    }

    [Fact]
    public async Task GenerateAsync_UnknownMembers_ComeVerbatim()
    {
        await using var engine = await Dialogues.Ollama(
            Delta("""{"tool_calls":[{"index":0,"id":"c1","extra_content":{"signature": "a\/b","score": 1.0},"function":{"name":"f","arguments":{"a": 1e2}}}]}"""),
            Delta("{}", "\"tool_calls\"")).ConnectAsync();

        var calls = (await FramesOf(engine))[^1].RawDelta.ToStringUtf8();

        Assert.Equal("""{"tool_calls":[{"index":0,"id":"c1","extra_content":{"signature":"a\/b","score":1.0},"function":{"name":"f","arguments":{"a":1e2}}}]}""", calls);
    }

    [Fact]
    public async Task GenerateAsync_LengthReachedInACall_ComesAsFarAsItGot()
    {
        await using var engine = await Dialogues.Ollama([.. TextAndTwoCalls[3..5], Delta("{}", "\"length\"")]).ConnectAsync();

        var last = (await FramesOf(engine))[^1];

        Assert.Equal(FinishReason.Length, last.Finish.Reason);
        Assert.Contains("""{"name":"weather","arguments":"{\"city\": \"\ud83d"}""", last.RawDelta.ToStringUtf8(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(3)]
    [InlineData(2)]
    public async Task GenerateAsync_CallOfTheOlderForm_ComesWholeOrNotAtAll(int events)
    {
        string[] pieces =
        [
            Delta("""{"function_call":{"name":"f","arguments":"{\"a\""}}"""),
            Delta("""{"function_call":{"arguments":": 1}"}}"""),
            Delta("{}", "\"function_call\""),
        ];
        await using var engine = await Dialogues.Ollama(pieces[..events]).ConnectAsync();
        var frames = new List<GenerateFrame>();

        var exception = await Record.ExceptionAsync(() => FramesOf(engine, frames));

        Assert.Equal(events < pieces.Length, exception is FaultException);
        Assert.All(frames.Take(3), frame => Assert.Equal(0, frame.RawDelta.Length));
        if (exception is null)
        {
            Assert.Equal("""{"function_call":{"name":"f","arguments":"{\"a\": 1}"}}""", frames[^1].RawDelta.ToStringUtf8());
            Assert.Equal(FinishReason.ToolCalls, frames[^1].Finish.Reason);
        }
    }

    [Fact]
    public async Task GenerateAsync_EmptyFunctionCallInEveryDelta_IsNoCall()
    {
        await using var engine = await Dialogues.Ollama(Delta("""{"content":"Hi","function_call":{}}"""), Delta("""{"function_call":{}}""", "\"stop\"")).ConnectAsync();

        var frames = await FramesOf(engine);

        Assert.Equal(["", "Hi", ""], frames.Select(frame => frame.Text.ToStringUtf8()));
        Assert.All(frames, frame => Assert.True(frame.RawDelta.IsEmpty));
    }

    public static TheoryData<string, string[]> Hostile() => new()
    {
        { "allowed: an object", [Delta("""{"function_call":[1]}""")] },
        { "over 1048576 bytes", [.. Enumerable.Repeat(Delta($$$"""{"function_call":{"arguments":"{{{new string('x', 300_000)}}}"}}"""), 4)] },
        { "allowed: an array of objects", [Delta("""{"tool_calls":{}}""")] },
        { "allowed: objects", [Delta("""{"tool_calls":[1]}""")] },
        { "more than 128 tool calls", [.. Enumerable.Range(0, HeldToolCalls.MostCalls + 1).Select(i => Delta($$"""{"tool_calls":[{"index":{{i}}}]}"""))] },
        { "over 1048576 bytes", [.. Enumerable.Repeat(Delta($$$"""{"tool_calls":[{"index":0,"function":{"arguments":"{{{new string('x', 300_000)}}}"}}]}"""), 4)] },
        { "not JSON", [Delta($$"""{"tool_calls":[{{string.Concat(Enumerable.Repeat("[", 100))}}{{string.Concat(Enumerable.Repeat("]", 100))}}]}""")] },
    };

    [Theory]
    [MemberData(nameof(Hostile), DisableDiscoveryEnumeration = true)]
    public async Task GenerateAsync_HostileCalls_FailInOneLine(string why, string[] events)
    {
        await using var engine = await Dialogues.Ollama([.. events, Delta("{}", "\"tool_calls\"")]).ConnectAsync();

        var exception = await Assert.ThrowsAsync<FaultException>(() => FramesOf(engine));

        Assert.Equal(Fault.EngineFailed, exception.Fault);
        Assert.Contains(why, exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', exception.Message);
    }

    private static string Index(int? index) => index is null ? "" : $"\"index\":{index},";

    private static string Delta(string delta, string finish = "null") => $$"""{"choices":[{"index":0,"delta":{{delta}},"finish_reason":{{finish}}}]}""";

    private static async Task<List<GenerateFrame>> FramesOf(IInferenceEngine engine, List<GenerateFrame>? into = null)
    {
        var request = new GenerateRequest
        {
            Chat = new ChatPrompt
            {
                Messages = ByteString.CopyFromUtf8("""[{"role":"user","content":"Hi"}]"""),
                Tools = ByteString.CopyFromUtf8("""[{"type":"function","function":{"name":"f"}}]"""),
            },
        };
        var frames = into ?? [];
        await foreach (var frame in engine.GenerateAsync(request, Cancellation))
        {
            frames.Add(frame);
        }

        return frames;
    }
}
