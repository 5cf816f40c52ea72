using System.Text.Json;
using Google.Protobuf;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>Log probabilities of the prompt, by which evaluation harnesses score answers: the server's own, or a refusal.</summary>
public class EchoTests
{
    private const string Echoed =
        """
        {"id":"x","choices":[{"index":0,"text":"Once. The ","logprobs":{"tokens":["On","ce",". The "],"token_logprobs":[null,-11.657204627990723,-1.5]},
        "finish_reason":"length","prompt_logprobs":[null,{"80":{"rank":1}}]}],"usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3}}
        """;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("vllm")]
    [InlineData("sglang")]
    public async Task GenerateAsync_EchoWithLogprobsWhereTheServerCan_IsItsWholeAnswer(string kind)
    {
        var server = kind == "vllm" ? Dialogues.Vllm() : Dialogues.SgLang(isIncremental: false);
        await using var engine = await server.ConnectAsync();
        server.On("/v1/completions", _ => [Echoed]);
        var request = new GenerateRequest { Text = "Once", Echo = true, Logprobs = 1, MaxTokens = 1, Stop = { "Once" }, Sampling = new Sampling { Temperature = 0 } };

        var frames = await FramesOf(engine, request);

        Assert.Equal(
            """{"model":"fake","stream":false,"echo":true,"max_tokens":1,"stop":["Once"],"temperature":0,"logprobs":1,"prompt":"Once"}""", server.Asked[^1].Body);
        Assert.Equal((ResumeTier.None, "Once. The "), (frames[0].Start.ResumeTier, string.Concat(frames.Select(frame => frame.Text.ToStringUtf8()))));
        Assert.Equal(
            """{"tokens":["On","ce",". The "],"token_logprobs":[null,-11.657204627990723,-1.5]}""", frames[1].RawLogprobs.ToStringUtf8());
        Assert.Equal("""{"prompt_logprobs":[null,{"80":{"rank":1}}]}""", frames[^1].RawChoice.ToStringUtf8());
        Assert.Equal((FinishReason.Length, 1u), (frames[^1].Finish.Reason, frames[^1].Finish.Usage.CompletionTokens));
    }

    [Fact]
    public async Task GenerateAsync_EchoWithLogprobsOfIds_GoesToTheServer()
    {
        var server = Dialogues.Vllm();
        await using var engine = await server.ConnectAsync();
        server.On("/v1/completions", _ => [Echoed]);

        await FramesOf(engine, new GenerateRequest { TokenIds = new TokenIds { Ids = { 1, 2 } }, Echo = true, Logprobs = 1, MaxTokens = 0 });

        Assert.EndsWith("\"prompt\":[1,2]}", server.Asked[^1].Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task GenerateAsync_PromptLogprobsOfAChat_AreAskedForWhole()
    {
        var server = Dialogues.Vllm();
        await using var engine = await server.ConnectAsync();
        server.On("/v1/chat/completions", _ =>
            ["""{"choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}],"prompt_logprobs":[null]}"""]);
        var request = Chat();
        request.Extra.Add(new RawMember { Name = "prompt_logprobs", Json = ByteString.CopyFromUtf8("0") });

        var frames = await FramesOf(engine, request);

        Assert.Contains("\"stream\":false", server.Asked[^1].Body, StringComparison.Ordinal);
        Assert.Equal(("a", """{"prompt_logprobs":[null]}"""), (frames[1].Text.ToStringUtf8(), frames[^1].RawChunk.ToStringUtf8()));
    }

    [Theory]
    [InlineData("""{"error":{"message":"no","type":"BadRequestError","param":null,"code":400}}""", Fault.InvalidRequest)]
    [InlineData("""{"choices":[]}""", Fault.EngineFailed)]
    [InlineData("""{"choices":[{"text":"a"}]}""", Fault.EngineFailed)]
    [InlineData("nothing", Fault.EngineFailed)]
    public async Task GenerateAsync_WholeAnswerThatIsNone_IsAFault(string answer, Fault fault)
    {
        var server = Dialogues.Vllm();
        await using var engine = await server.ConnectAsync();
        server.On("/v1/completions", _ => [answer]);

        var exception = await Assert.ThrowsAsync<FaultException>(() => FramesOf(engine, new GenerateRequest { Text = "a", Echo = true, Logprobs = 1 }));

        Assert.Equal(fault, exception.Fault);
    }

    [Fact]
    public async Task GenerateAsync_WholeAnswerOverTheBound_FailsAndNamesIt()
    {
        var server = Dialogues.Vllm();
        await using var engine = await server.ConnectAsync();
        server.On("/v1/completions", _ => [new string(' ', (32 << 20) + 1)]);

        var exception = await Assert.ThrowsAsync<FaultException>(() => FramesOf(engine, new GenerateRequest { Text = "a", Echo = true, Logprobs = 1 }));

        Assert.Equal("the engine sent an answer of more than 33554432 bytes; allowed: up to 33554432 bytes", exception.Message);
    }

    [Fact]
    public async Task GenerateAsync_EchoWithLogprobsWhereTheServerCannot_IsRefusedByName()
    {
        await using var engine = await Dialogues.Ollama().ConnectAsync();

        var exception = await Assert.ThrowsAsync<FaultException>(() => FramesOf(engine, new GenerateRequest { Text = "a", Echo = true, Logprobs = 0 }));

        Assert.Equal(
            (Fault.InvalidRequest, "echo is true with logprobs; allowed: one of both: this engine gives no log probabilities of the prompt"),
            (exception.Fault, exception.Message));
    }

    [Fact]
    public async Task GenerateAsync_EchoOfIdsWhereTheServerTellsNoTexts_IsRefusedByName()
    {
        await using var engine = await Dialogues.Ollama().ConnectAsync();

        var exception = await Assert.ThrowsAsync<FaultException>(
            () => FramesOf(engine, new GenerateRequest { TokenIds = new TokenIds { Ids = { 1 } }, Echo = true }));

        Assert.Equal("echo is true for a prompt of token ids; allowed: false: this engine does not tell their text", exception.Message);
    }

    private static GenerateRequest Chat() => new() { Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8("""[{"role":"user","content":"Hi"}]""") } };

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
