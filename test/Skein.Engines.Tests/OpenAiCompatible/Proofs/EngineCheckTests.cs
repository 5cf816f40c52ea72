using System.Text.Json;
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
        Assert.All(rows.Skip(1), row => Assert.Equal(0, row.Equal));
        Assert.All(rows.Skip(1), row => Assert.Contains("404", row.Reason, StringComparison.Ordinal));
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
}
