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

    /// <summary>A server that continues rightly while it is tried, and otherwise later: what was promised is not kept.</summary>
    [Fact]
    public async Task RunAsync_ServerGoesOnOtherwiseAfterItsProof_BreaksThePromise()
    {
        var lies = false;
        var server = Dialogues.Vllm();
        server.On("/v1/completions", body => Dialogues.VllmCompletion(
            lies && body.GetProperty("prompt").GetArrayLength() is var ids and > FakeModel.PromptTokens
                ? JsonSerializer.SerializeToElement(new { prompt = Enumerable.Range(0, ids + 1), max_tokens = body.GetProperty("max_tokens").GetInt32() })
                : body));
        await using var engine = await server.ConnectAsync();
        lies = true;

        var row = (await RowsAsync(engine, answers: 5))[0];

        Assert.Equal(("completion", ResumeTier.Exact, 0, true), (row.Kind, row.Tier, row.Equal, row.IsPromiseBroken));
        Assert.Contains("it is another answer", row.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(FinishReason.Length, 4, -0.25f, "ends by Length instead of Stop")]
    [InlineData(FinishReason.Stop, 3, -0.25f, "counts (2, 3) tokens of prompt and answer instead of (2, 4)")]
    [InlineData(FinishReason.Stop, 4, -0.26f, "the log probability of token ")]
    [InlineData(FinishReason.Stop, 4, -0.25f, "")]
    public async Task RunAsync_OnlyTheEndCountOrLogprobDiffers_IsFound(FinishReason reason, uint tokens, float logprob, string problem)
    {
        await using var engine = new ScriptedAnswer(reason, tokens, logprob);

        var row = (await RowsAsync(engine, answers: 5))[0];

        // A cut after the last token leaves no log probability to compare.
        Assert.InRange(row.Equal, problem.Length == 0 ? 5 : 0, problem.Length == 0 ? 5 : 4);
        Assert.Equal(problem.Length > 0, row.IsPromiseBroken);
        Assert.Contains(problem, row.Reason, StringComparison.Ordinal);
    }

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
    private sealed class ScriptedAnswer(FinishReason reason, uint tokens, float logprob) : IInferenceEngine
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
            var usage = new Usage { PromptTokens = 2, CompletionTokens = request.Resume is null ? Tokens : tokens };
            yield return new GenerateFrame
            {
                FirstIndex = Tokens, Finish = new Finish { Reason = request.Resume is null ? FinishReason.Stop : reason, Usage = usage },
            };
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
