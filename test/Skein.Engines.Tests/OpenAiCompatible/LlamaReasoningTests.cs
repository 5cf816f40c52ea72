using System.Text;
using System.Text.Json;
using Google.Protobuf;
using Skein.Engines.OpenAiCompatible.Reasoning;
using Skein.Engines.Tests.Embedded;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>
/// Chats of a real llama.cpp server whose template knows a reasoning: through ids they are what its own chat call answers, and go on exactly. The models are
/// random ones with a template each; a bias makes them write the marks, and white space around them.
/// </summary>
public class LlamaReasoningTests(ITestOutputHelper output)
{
    private static readonly string[] Biased = ["<think>", "</think>", "\n", " "];

    // Bias of each of these: reasoning that ends, reasoning that does not, none, marks and white space again and again.
    private static readonly float[][] Biases = [[0, 7, 7, 0], [0, 0, 5, 5], [0, -100, 7, 0], [12, 11, 9, 5], [0, 9, 9, 9]];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("plain.gguf")]
    [InlineData("switchable.gguf")]
    [InlineData("thinking.gguf")]
    public async Task GenerateAsync_ChatThroughIds_IsTheChatCallsAnswerAndGoesOnExactly(string model)
    {
        var file = LlamaProgram.FindModel(model);
        Assert.SkipWhen(file is null, LlamaProgram.MissingModel);
        await using var server = new LlamaServer(file);
        await using var engine = await server.ConnectAsync();
        await using var chatCall = await server.ConnectAsync(options => options with { UsesChatCall = true });
        var marks = await MarksAsync(server);
        var (reasonings, contents) = (0, 0);
        for (var i = 0; i < Biases.Length; i++)
        {
            var request = Chat($"Tell {i}", Biases[i], marks);

            var answer = await Transcript.Of(engine, request, Cancellation);
            var direct = await ReadAsync(chatCall, request);

            Assert.Equal(ResumeTier.Exact, answer.Start.ResumeTier);
            Assert.Equal(direct.Said, Said([.. answer.Tokens, answer.Last]));
            Assert.Equal(direct.Finish.Usage.CompletionTokens, answer.Last.Finish.Usage.CompletionTokens);
            Assert.Equal(direct.Finish.Reason, answer.Last.Finish.Reason);
            await answer.AssertSameAfterAnyCut(engine, request);
            reasonings += direct.Said.Reasoning.Length > 0 ? 1 : 0;
            contents += direct.Said.Content.Length > 0 ? 1 : 0;
        }

        output.WriteLine($"{model}: {reasonings} of {Biases.Length} answers have a reasoning, {contents} have content");
        Assert.Equal(model == "plain.gguf", reasonings == 0);
        Assert.InRange(contents, 1, Biases.Length);
    }

    /// <summary>A client that wants the answer undivided: it then also has the mark that the template wrote.</summary>
    [Theory]
    [InlineData("thinking.gguf", "<think>")]
    [InlineData("switchable.gguf", "")]
    [InlineData("plain.gguf", "")]
    public async Task GenerateAsync_UndividedAnswer_IsTheChatCallsAndGoesOnExactly(string model, string begin)
    {
        var file = LlamaProgram.FindModel(model);
        Assert.SkipWhen(file is null, LlamaProgram.MissingModel);
        await using var server = new LlamaServer(file);
        await using var engine = await server.ConnectAsync();
        await using var chatCall = await server.ConnectAsync(options => options with { UsesChatCall = true });
        var marks = await MarksAsync(server);
        for (var i = 0; i < Biases.Length; i++)
        {
            var request = Chat($"Tell {i}", Biases[i], marks);
            request.Extra.Add(new RawMember { Name = "reasoning_format", Json = ByteString.CopyFromUtf8("\"none\"") });

            var answer = await Transcript.Of(engine, request, Cancellation);

            var said = Said([.. answer.Tokens, answer.Last]);
            Assert.Equal((await ReadAsync(chatCall, request)).Said, said);
            Assert.StartsWith(begin, said.Content, StringComparison.Ordinal);
            Assert.Equal((ResumeTier.Exact, TokenUnit.Token), (answer.Start.ResumeTier, answer.Start.Unit));
            await answer.AssertSameAfterAnyCut(engine, request);
        }
    }

    /// <summary>A template that is told to close the reasoning at once.</summary>
    [Fact]
    public async Task GenerateAsync_ThinkingSwitchedOff_IsContentAndGoesOnExactly()
    {
        var file = LlamaProgram.FindModel("switchable.gguf");
        Assert.SkipWhen(file is null, LlamaProgram.MissingModel);
        await using var server = new LlamaServer(file);
        await using var engine = await server.ConnectAsync();
        await using var chatCall = await server.ConnectAsync(options => options with { UsesChatCall = true });
        var request = Chat("Tell", Biases[1], await MarksAsync(server));
        request.Extra.Add(new RawMember { Name = "chat_template_kwargs", Json = ByteString.CopyFromUtf8("""{"enable_thinking":false}""") });

        var answer = await Transcript.Of(engine, request, Cancellation);

        Assert.Equal((await ReadAsync(chatCall, request)).Said, Said([.. answer.Tokens, answer.Last]));
        Assert.Equal(ResumeTier.Exact, answer.Start.ResumeTier);
        await answer.AssertSameAfterAnyCut(engine, request);
    }

    private static GenerateRequest Chat(string question, float[] biases, uint[] marks)
    {
        var request = new GenerateRequest
        {
            Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8($$"""[{"role":"user","content":"{{question}}"}]""") },
            MaxTokens = 24,
            Sampling = new Sampling { Temperature = 0 },
        };
        for (var i = 0; i < marks.Length; i++)
        {
            request.Sampling.LogitBias[marks[i]] = biases[i];
        }

        return request;
    }

    private static async Task<uint[]> MarksAsync(LlamaServer server)
    {
        using var http = new HttpClient { BaseAddress = new Uri(server.Url, "/") };
        var ids = new List<uint>();
        foreach (var text in Biased)
        {
            var body = JsonSerializer.Serialize(new { content = text, add_special = false, parse_special = true });
            using var answer = await http.PostAsync("tokenize", new StringContent(body, Encoding.UTF8, "application/json"), Cancellation);
            var tokens = JsonElement.Parse(await answer.Content.ReadAsStringAsync(Cancellation)).GetProperty("tokens");
            ids.Add(tokens[tokens.GetArrayLength() - 1].GetUInt32());
        }

        return [.. ids];
    }

    private static async Task<((string Reasoning, string Content) Said, Finish Finish)> ReadAsync(IInferenceEngine engine, GenerateRequest request)
    {
        var frames = new List<GenerateFrame>();
        await foreach (var frame in engine.GenerateAsync(request, Cancellation))
        {
            frames.Add(frame);
        }

        return (Said(frames), frames[^1].Finish);
    }

    private static (string Reasoning, string Content) Said(IReadOnlyList<GenerateFrame> frames) => (
        string.Concat(frames.Where(frame => frame.RawDelta.Length > 0).Select(frame => DeliveredReasoning.TextIn(JsonElement.Parse(frame.RawDelta.Span))!.Value.Text)),
        string.Concat(frames.Select(frame => frame.Text.ToStringUtf8())));
}
