using System.Text.Json;
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
            new Finish
            {
                Reason = FinishReason.Stop,
                Usage = new Usage
                {
                    PromptTokens = 9, CompletionTokens = 3, CachedPromptTokens = 4,
                    Raw = ByteString.CopyFromUtf8("""{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":4}}"""),
                },
            },
            frames[^1].Finish);
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
        // The 4 events so far are a part of what the server calls the prompt.
        Assert.Equal(
            new Usage { PromptTokens = 5, CompletionTokens = 7, Raw = ByteString.CopyFromUtf8("""{"prompt_tokens_details":{"cached_tokens":4}}""") },
            frames[^1].Finish.Usage);
    }

    [Fact]
    public async Task GenerateAsync_TextOfAnotherServerOnOneThatGivesIds_GoesOnAsText()
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
        // The prompt as its tokenizer counts it, not what is left of the server's count without 4 tokens.
        Assert.Contains(server.Asked, call => call.Path == "/tokenize");
        Assert.Equal(2u, frames[^1].Finish.Usage.PromptTokens);
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

    /// <summary>Two messages of the assistant would be two answers.</summary>
    [Theory]
    [InlineData("""[{"role":"user","content":"a"},{"content":"Well, ","role":"assistant","name":"x"}]""",
        """[{"role":"user","content":"a"},{"content":"Well, Say it: ","role":"assistant","name":"x"}]""")]
    [InlineData("""[{"role":"user","content":"a"}, {"role":"assistant","content":""} ]""", """[{"role":"user","content":"a"},{"content":"Say it: ","role":"assistant"}]""")]
    [InlineData("""[{"role":"assistant","content":[{"type":"text","text":"A "},{"type":"text","text":"B "}]}]""", """[{"content":"A B Say it: ","role":"assistant"}]""")]
    public async Task GenerateAsync_ClientBeganTheAnswer_ContinuesItInTheSameMessage(string messages, string sent)
    {
        var server = Dialogues.Ollama(Hello);
        await using var engine = await server.ConnectAsync();
        var request = Chat();
        request.Chat.Messages = ByteString.CopyFromUtf8(messages);
        request.Resume = new Resume { Text = ByteString.CopyFromUtf8("Say it: "), NextIndex = 4 };

        var frames = await FramesOf(engine, request);

        Assert.Equal(ResumeTier.Text, frames[0].Start.ResumeTier);
        var body = JsonElement.Parse(Assert.Single(server.Asked, call => call.Path == "/v1/chat/completions").Body);
        Assert.True(
            JsonElement.DeepEquals(JsonElement.Parse(sent), body.GetProperty("messages")), $"sent: {body.GetProperty("messages").GetRawText()}");
    }

    /// <summary>The server takes the prompt of a completion as a message of the user: behind it, the text would be another question.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task GenerateAsync_LostCompletionOfOllama_IsContinuedAsAChat(bool echo)
    {
        var server = Dialogues.Ollama(Hello);
        server.On("/v1/completions", _ => ["""{"choices":[{"index":0,"text":"x","finish_reason":"stop"}]}""", "[DONE]"]);
        await using var engine = await server.ConnectAsync();
        var prompt = echo ? "Say \"it\"" : "";
        var request = new GenerateRequest
        {
            Text = "Say \"it\"",
            Echo = echo,
            Resume = new Resume { Text = ByteString.CopyFromUtf8(prompt + "Well, "), NextIndex = 4 },
        };

        var frames = await FramesOf(engine, request);

        Assert.Equal(ResumeTier.Text, frames[0].Start.ResumeTier);
        Assert.Contains("Hello", string.Concat(frames.Select(frame => frame.Text.ToStringUtf8())), StringComparison.Ordinal);
        var messages = JsonElement.Parse(Assert.Single(server.Asked, call => call.Path == "/v1/chat/completions").Body).GetProperty("messages");
        Assert.True(JsonElement.DeepEquals(
            JsonElement.Parse("""[{"role":"user","content":"Say \"it\""},{"role":"assistant","content":"Well, "}]"""), messages), messages.GetRawText());
    }

    [Fact]
    public async Task GenerateAsync_NoFinishReason_Fails()
    {
        await using var engine = await Dialogues.Ollama(Hello[..3]).ConnectAsync();

        var exception = await Assert.ThrowsAsync<FaultException>(() => FramesOf(engine, Chat()));

        Assert.Equal(Fault.NoFinish, exception.Fault);
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
        await using var engine = await server.ConnectAsync(options => options with { Model = "b" });
        var request = new GenerateRequest { Text = "a", Model = "b", Echo = true, Resume = new Resume { Text = ByteString.CopyFromUtf8("a b"), NextIndex = 1 } };

        var frames = await FramesOf(engine, request);

        Assert.Equal("""{"model":"b","stream":true,"stream_options":{"include_usage":true},"prompt":"a b"}""", server.Asked[^1].Body);
        Assert.Equal((" c", FinishReason.Length), (string.Concat(frames.Select(frame => frame.Text.ToStringUtf8())), frames[^1].Finish.Reason));
    }

    [Fact]
    public async Task GenerateAsync_MembersOfTheClient_ReachTheServerAsSent()
    {
        var server = Dialogues.Ollama(Hello);
        await using var engine = await server.ConnectAsync();
        var request = Chat();
        request.Sampling = new Sampling { Temperature = 0.1f, TopP = 0.25f, LogitBias = { [7] = 1 } };
        request.Sampling.Raw.Add(new RawMember { Name = "temperature", Json = ByteString.CopyFromUtf8("0.10000000000000000555") });
        request.Sampling.Raw.Add(new RawMember { Name = "logit_bias", Json = ByteString.CopyFromUtf8("[[7, 1.0]]") });
        request.Extra.Add(new RawMember { Name = "max_tokens", Json = ByteString.CopyFromUtf8("-1") });
        request.Extra.Add(new RawMember { Name = "stream_options", Json = ByteString.CopyFromUtf8("""{"include_usage":false,"chunk_size": 4}""") });

        await FramesOf(engine, request);

        var body = server.Asked[^1].Body;
        Assert.Contains("\"stream_options\":{\"chunk_size\":4,\"include_usage\":true}", body, StringComparison.Ordinal);
        Assert.Contains("\"temperature\":0.10000000000000000555,\"top_p\":0.25,\"logit_bias\":[[7, 1.0]]", body, StringComparison.Ordinal);
        Assert.Contains("\"max_tokens\":-1", body, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"choices":[{"index":0,"text":"","finish_reason":"length"}]}""")]
    public async Task GenerateAsync_NoTokensAskedFor_AsksTheServer(string answer)
    {
        var server = Dialogues.Vllm();
        await using var engine = await server.ConnectAsync();
        server.On("/v1/completions", _ => [answer, "[DONE]"]);

        var frames = await FramesOf(engine, new GenerateRequest { Text = "a", MaxTokens = 0 });

        Assert.EndsWith("\"max_tokens\":0,\"prompt\":\"a\"}", server.Asked[^1].Body, StringComparison.Ordinal);
        Assert.Equal(FinishReason.Length, frames[^1].Finish.Reason);
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
