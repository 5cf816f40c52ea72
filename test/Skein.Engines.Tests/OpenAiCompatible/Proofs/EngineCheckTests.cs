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
