using System.Runtime.CompilerServices;
using System.Text.Json;
using Google.Protobuf;
using Skein.Engines.OpenAiCompatible.Proofs;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible.Proofs;

public class EngineCheckTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>Completions go on by ids; chats are not served, and are asked for once.</summary>
    [Fact]
    public async Task RunAsync_ServerWithIdsAndWithoutChats_SaysBoth()
    {
        await using var engine = await Dialogues.Vllm().ConnectAsync();

        var rows = await RowsAsync(engine, answers: 20);

        Assert.Equal(("completion", ResumeTier.Exact, 20, 20, ""), Tuple(rows[0]));
        var chats = rows.Where(row => row.Kind.StartsWith("chat", StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(chats);
        Assert.All(chats, row => Assert.Equal(0, row.Equal));
        Assert.All(chats, row => Assert.Contains("404", row.Reason, StringComparison.Ordinal));
    }

    /// <summary>A server that starts anew has the tier none: its answers are made again, and come out the same.</summary>
    [Fact]
    public async Task RunAsync_ServerStartsAnew_IsMadeAgain()
    {
        string[] events = [.. "It was a dark and stormy night".Split(' ').Select(word => $$$"""{"choices":[{"delta":{"content":"{{{word}}} "}}]}""")];
        var server = Dialogues.Ollama([.. events, """{"choices":[{"delta":{},"finish_reason":"stop"}]}"""]);
        server.ContinuesTexts = false;
        await using var engine = await server.ConnectAsync();

        var chat = (await RowsAsync(engine, answers: 5)).Single(row => row.Kind == "chat");

        Assert.Equal(("chat", ResumeTier.None, 5, 5, ""), Tuple(chat));
    }

    /// <summary>A server that goes on by the ids as long as it is being tried, and otherwise with something else, claims too much.</summary>
    [Fact]
    public async Task RunAsync_ServerGoesOnOtherwise_IsBroken()
    {
        var server = Dialogues.Vllm();
        server.On("/v1/completions", body => Dialogues.VllmCompletion(body)
            .Select(line => IsContinued(body) ? line.Replace(" home", " away", StringComparison.Ordinal) : line));
        await using var engine = await server.ConnectAsync();

        var completion = (await RowsAsync(engine, answers: 10))[0];

        Assert.Equal(ResumeTier.Exact, completion.Tier);
        Assert.True(completion.IsBroken);
        Assert.InRange(completion.Equal, 0, 9);
        Assert.Matches("after [0-9]+ tokens it goes on otherwise: the text differs", completion.Reason);
    }

    /// <summary>The text goes on; only what the server counts for the finish differs.</summary>
    [Fact]
    public async Task RunAsync_ServerEndsOtherwise_IsBroken()
    {
        var server = Dialogues.Vllm();
        server.On("/v1/completions", body => Dialogues.VllmCompletion(body)
            .Select(line => IsContinued(body) ? line.Replace("\"stop\"", "\"length\"", StringComparison.Ordinal) : line));
        await using var engine = await server.ConnectAsync();

        var completion = (await RowsAsync(engine, answers: 3))[0];

        Assert.Equal((true, 0), (completion.IsBroken, completion.Equal));
        Assert.Contains("the finish reason differs", completion.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_NotDeclaredBitExact_SaysWhyItIsNotExact()
    {
        await using var engine = await Dialogues.Vllm().ConnectAsync(options => options with { IsBitExact = false });

        var completion = (await RowsAsync(engine, answers: 1))[0];

        Assert.Equal((ResumeTier.Tokens, false), (completion.Tier, completion.IsBroken));
        Assert.Equal("the server is not declared bit-exact (--bit-exact)", completion.WhyNotExact);
    }

    [Theory]
    [InlineData(FinishReason.Length, 4, 2, -0.25f, "the finish reason differs")]
    [InlineData(FinishReason.Stop, 3, 2, -0.25f, "the usage differs")]
    [InlineData(FinishReason.Stop, 4, 1, -0.25f, "a detail of the usage differs")]
    [InlineData(FinishReason.Stop, 4, 2, -0.26f, "a log probability differs")]
    [InlineData(FinishReason.Stop, 4, 2, -0.25f, "")]
    public async Task RunAsync_OnlyTheEndCountOrLogprobDiffers_IsFound(FinishReason reason, uint tokens, int reasoned, float logprob, string problem)
    {
        await using var engine = new ScriptedAnswer(reason, tokens, reasoned, logprob);

        var row = (await RowsAsync(engine, answers: 5))[0];

        // A cut after the last token leaves no log probability to compare.
        Assert.InRange(row.Equal, problem.Length == 0 ? 5 : 0, problem.Length == 0 ? 5 : 4);
        Assert.Equal(problem.Length > 0, row.IsBroken);
        Assert.Contains(problem, row.Reason, StringComparison.Ordinal);
    }

    // What the proof at connect time continues is shorter.
    private static bool IsContinued(JsonElement body) =>
        body.GetProperty("max_tokens").GetInt32() > ContinuationProver.AnswerTokens && body.GetProperty("prompt") is { ValueKind: JsonValueKind.Array } prompt && prompt.GetArrayLength() > FakeModel.PromptTokens;

    private static (string, ResumeTier, int, int, string) Tuple(EngineCheckRow row) => (row.Kind, row.Tier, row.Answers, row.Equal, row.Reason);

    private static async Task<List<EngineCheckRow>> RowsAsync(IInferenceEngine engine, int answers)
    {
        var model = (await engine.DescribeAsync(Cancellation)).Models[0].Name;
        var rows = new List<EngineCheckRow>();
        await foreach (var row in EngineCheck.RunAsync(engine, model, answers, new Random(1), Cancellation))
        {
            rows.Add(row);
        }

        return rows;
    }

    /// <summary>Answers with four tokens; the end of a continued answer, its count and its log probabilities are the test's.</summary>
    private sealed class ScriptedAnswer(FinishReason reason, uint tokens, int reasoned, float logprob) : IInferenceEngine
    {
        private const int Tokens = 4;

        public string Kind => "scripted";

        public ValueTask<EngineDescription> DescribeAsync(CancellationToken cancellationToken) =>
            new(new EngineDescription([new ModelDescription { Name = "m" }], Slots: 1));

        public async IAsyncEnumerable<GenerateFrame> GenerateAsync(GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            await Task.CompletedTask;
            var first = (int)(request.Resume?.NextIndex ?? 0);
            yield return new GenerateFrame { Start = new Start { ResumeTier = ResumeTier.Exact, Unit = TokenUnit.Token, ResumedAt = (uint)first } };
            for (var i = first; i < Tokens; i++)
            {
                var text = ByteString.CopyFromUtf8($"{i} ");
                yield return new GenerateFrame
                {
                    FirstIndex = (uint)i, Count = 1, TokenIds = { (uint)i }, Text = text,
                    Logprobs = { new TokenLogprob { Token = text, Logprob = request.Resume is null ? -0.25f : logprob } },
                };
            }
            var details = $$$"""{"completion_tokens_details":{"reasoning_tokens":{{{(request.Resume is null ? 2 : reasoned)}}}}}""";
            var usage = new Usage { PromptTokens = 2, CompletionTokens = request.Resume is null ? Tokens : tokens, Raw = ByteString.CopyFromUtf8(details) };
            yield return new GenerateFrame
            {
                FirstIndex = Tokens, Finish = new Finish { Reason = request.Resume is null ? FinishReason.Stop : reason, Usage = usage },
            };
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
