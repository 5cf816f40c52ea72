using Google.Protobuf;
using Skein.Engines.OpenAiCompatible;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible;

public class TextDialogueTests
{
    private const string Usage =
        """{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":4}}}""";

    private static readonly string[] Hello =
    [
        Delta("""{"role":"assistant","content":""}"""),
        Delta("""{"content":"Hel"}"""),
        Delta("""{"content":"lo, "}"""),
        Delta("""{"content":"you"}"""),
        Delta("{}", "\"stop\""),
        Usage,
    ];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task GenerateAsync_Ollama_CountsEventsAndTellsTheServersUsage()
    {
        await using var engine = await Dialogues.Ollama(Hello).ConnectAsync();

        var frames = await FramesOf(engine, Chat());

        Assert.Equal((ResumeTier.Text, TokenUnit.Chunk, "fake:1b"), (frames[0].Start.ResumeTier, frames[0].Start.Unit, frames[0].Start.Model));
        Assert.Equal(["Hel", "lo, ", "you"], frames[1..^1].Select(frame => frame.Text.ToStringUtf8()));
        Assert.Equal([0u, 1u, 2u], frames[1..^1].Select(frame => frame.FirstIndex));
        Assert.Equal(
            new Finish { Reason = FinishReason.Stop, Usage = new Usage { PromptTokens = 9, CompletionTokens = 3, CachedPromptTokens = 4 } }, frames[^1].Finish);
    }

    [Fact]
    public async Task GenerateAsync_Resumed_AsksToContinueTheText()
    {
        var server = Dialogues.Ollama(Hello);
        await using var engine = await server.ConnectAsync();
        var request = Chat();
        request.MaxTokens = 10;
        request.Stop.Add("never \"said\"");
        request.Resume = new Resume { Text = ByteString.CopyFromUtf8("Say \"x\""), NextIndex = 4 };

        var frames = await FramesOf(engine, request);

        Assert.Equal(
            """{"model":"fake:1b","stream":true,"stream_options":{"include_usage":true},"max_tokens":6,"stop":["never \u0022said\u0022"],"""
            + """ "messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Say \u0022x\u0022"}]}""".TrimStart(),
            server.Asked[^1].Body);
        Assert.Equal((4u, 4u), (frames[0].Start.ResumedAt, frames[1].FirstIndex));
        Assert.Equal("Hello, you", string.Concat(frames.Select(frame => frame.Text.ToStringUtf8())));
        Assert.Null(frames[^1].Finish.Usage);
    }

    [Fact]
    public async Task GenerateAsync_TextOfAnotherServerOnOneThatGivesIds_GoesOnAsTextAndCountsNoTokens()
    {
        var server = Dialogues.Vllm().On("/v1/chat/completions", _ => [.. Hello, "[DONE]"]);
        await using var engine = await server.ConnectAsync();
        var request = Chat();
        request.Resume = new Resume { Text = ByteString.CopyFromUtf8("Say: "), NextIndex = 4, Fingerprint = "of an Ollama" };

        var frames = await FramesOf(engine, request);

        Assert.Equal("/v1/chat/completions", server.Asked[^1].Path);
        Assert.Contains("\"continue_final_message\":true", server.Asked[^1].Body, StringComparison.Ordinal);
        Assert.Equal((TokenUnit.Chunk, ResumeTier.Text, 4u), (frames[0].Start.Unit, frames[0].Start.ResumeTier, frames[0].Start.ResumedAt));
        Assert.Equal("Hello, you", string.Concat(frames.Select(frame => frame.Text.ToStringUtf8())));
        Assert.All(frames, frame => Assert.Empty(frame.TokenIds));
        Assert.Null(frames[^1].Finish.Usage);
    }

    [Fact]
    public async Task GenerateAsync_ResumedAndStopped_EndsWithoutTheStop()
    {
        await using var engine = await Dialogues.Ollama(Hello).ConnectAsync();
        var request = Chat();
        request.Stop.Add("lo,");
        request.Resume = new Resume { Text = ByteString.CopyFromUtf8("Say: "), NextIndex = 4 };

        var frames = await FramesOf(engine, request);

        Assert.Equal("Hel", string.Concat(frames.Select(frame => frame.Text.ToStringUtf8())));
        Assert.Equal(new Finish { Reason = FinishReason.Stop, MatchedStop = "lo," }, frames[^1].Finish);
    }

    [Fact]
    public async Task HoldAsync_OfChunks_WarmsUpAndThenContinuesTheTextDeliveredInTheMeantime()
    {
        var server = Dialogues.Ollama(Hello);
        await using var engine = await server.ConnectAsync();
        var request = Chat();
        request.MaxTokens = 10;
        request.Resume = new Resume { Text = ByteString.CopyFromUtf8("Say"), NextIndex = 2 };
        var journal = new Resume { Text = ByteString.CopyFromUtf8("Say it: "), NextIndex = 4 };

        var frames = new List<GenerateFrame>();
        await foreach (var frame in engine.GenerateStandbyAsync(request, _ => Task.FromResult<Resume?>(journal), Cancellation))
        {
            frames.Add(frame);
        }

        var bodies = server.Asked.Where(call => call.Path == "/v1/chat/completions").Select(call => call.Body).ToList();
        Assert.Equal(2, bodies.Count);
        Assert.Contains("\"max_tokens\":1,", bodies[0], StringComparison.Ordinal);
        Assert.EndsWith("""{"role":"assistant","content":"Say"}]}""", bodies[0], StringComparison.Ordinal);
        Assert.Contains("\"max_tokens\":6,", bodies[1], StringComparison.Ordinal);
        Assert.EndsWith("""{"role":"assistant","content":"Say it: "}]}""", bodies[1], StringComparison.Ordinal);
        Assert.Equal((2u, 4u), (frames[0].Start.ResumedAt, frames[1].FirstIndex));
        Assert.Equal("Hello, you", string.Concat(frames.Select(frame => frame.Text.ToStringUtf8())));
    }

    [Theory]
    [InlineData("structured deltas", "", 2, "")]
    [InlineData("the beginning of one", "a st", 2, "")]
    [InlineData("tool calls", "Hel", 1, """[{"type":"function"}]""")]
    public async Task GenerateAsync_ResumeThatCannotBe_IsRefused(string why, string text, uint next, string tools)
    {
        await using var engine = await Dialogues.Ollama(Hello).ConnectAsync();
        var request = Chat();
        request.Chat.Tools = ByteString.CopyFromUtf8(tools);
        request.Stop.Add("stop");
        request.Resume = new Resume { Text = ByteString.CopyFromUtf8(text), NextIndex = next };

        var exception = await Assert.ThrowsAsync<FaultException>(() => FramesOf(engine, request));

        Assert.Equal(Fault.ResumeRefused, exception.Fault);
        Assert.Contains(why, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task GenerateAsync_NoFinishReason_Fails()
    {
        await using var engine = await Dialogues.Ollama(Hello[..3]).ConnectAsync();

        var exception = await Assert.ThrowsAsync<FaultException>(() => FramesOf(engine, Chat()));

        Assert.Equal(Fault.NoFinish, exception.Fault);
    }

    [Theory]
    [InlineData(400, """{"error":{"message":"temperature is wrong","type":"invalid_request_error"}}""", false, Fault.InvalidRequest)]
    [InlineData(400, """{"error":{"message":"temperature is wrong"}}""", true, Fault.ResumeRefused)]
    [InlineData(400, """{"object":"error","message":"This model's maximum context length is 10 tokens"}""", false, Fault.ContextLengthExceeded)]
    [InlineData(400, """{"error":{"message":"too long","code":"context_length_exceeded"}}""", false, Fault.ContextLengthExceeded)]
    [InlineData(404, """{"error":"model 'x' not found"}""", false, Fault.ModelNotFound)]
    [InlineData(422, """{"detail":[{"msg":"field required"}]}""", false, Fault.InvalidRequest)]
    [InlineData(429, "slow down", false, Fault.EngineBusy)]
    [InlineData(503, """{"error":{"message":"Loading model"}}""", false, Fault.EngineBusy)]
    [InlineData(200, """{"error":{"message":"CUDA out of memory"}}""", false, Fault.EngineFailed)]
    public async Task GenerateAsync_ServerRefuses_SaysWhyInOneLine(int status, string body, bool isResumed, Fault error)
    {
        await using var engine = await new FakeServer { Status = (System.Net.HttpStatusCode)status }
            .On("/api/version", """{"version":"0.13.0"}""")
            .On("/v1/models", """{"data":[{"id":"fake:1b"}]}""")
            .On("/v1/chat/completions", _ => [body])
            .ConnectAsync();
        var request = Chat();
        request.Resume = isResumed ? new Resume { Text = ByteString.CopyFromUtf8("x"), NextIndex = 1 } : null;

        var exception = await Assert.ThrowsAsync<FaultException>(() => FramesOf(engine, request));

        Assert.Equal(error, exception.Fault);
        Assert.StartsWith("the engine at http://fake.test/ ", exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', exception.Message);
    }

    [Fact]
    public async Task GenerateAsync_VllmReasoner_TellsTheServerToContinue()
    {
        var server = Dialogues.Vllm().On("/v1/chat/completions", _ => [.. Hello, "[DONE]"]);
        await using var engine = await server.ConnectAsync(options => options with { UsesChatCall = true });
        var request = Chat();
        request.Resume = new Resume { Text = ByteString.CopyFromUtf8("x"), NextIndex = 1 };

        await FramesOf(engine, request);

        Assert.Contains("""{"role":"assistant","content":"x"}],"continue_final_message":true,"add_generation_prompt":false""", server.Asked[^1].Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task GenerateAsync_PlainServer_CompletesPromptAndText()
    {
        var server = new FakeServer()
            .On("/v1/models", """{"data":[{"id":"a"},{"id":"b"}]}""")
            .On("/v1/completions", _ => ["""{"choices":[{"index":0,"text":" c","finish_reason":"length"}]}""", "[DONE]"]);
        await using var engine = await server.ConnectAsync();
        var request = new GenerateRequest { Text = "a", Model = "b", Echo = true, Resume = new Resume { Text = ByteString.CopyFromUtf8("a b"), NextIndex = 1 } };

        var frames = await FramesOf(engine, request);

        Assert.Equal("""{"model":"b","stream":true,"stream_options":{"include_usage":true},"prompt":"a b"}""", server.Asked[^1].Body);
        Assert.Equal((" c", FinishReason.Length), (string.Concat(frames.Select(frame => frame.Text.ToStringUtf8())), frames[^1].Finish.Reason));
    }

    private static string Delta(string delta, string finish = "null") => $$"""{"choices":[{"index":0,"delta":{{delta}},"finish_reason":{{finish}}}]}""";

    private static GenerateRequest Chat() => new() { Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8("""[{"role":"user","content":"Hi"}] """) } };

    private static async Task<List<GenerateFrame>> FramesOf(IInferenceEngine engine, GenerateRequest request)
    {
        var frames = new List<GenerateFrame>();
        await foreach (var frame in engine.GenerateAsync(request, Cancellation))
        {
            frames.Add(frame);
        }

        return frames;
    }
}
