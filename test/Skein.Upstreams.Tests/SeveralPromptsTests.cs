using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>Completions of several prompts in one request: choice number = prompt x n + i.</summary>
public sealed class SeveralPromptsTests
{
    private const string Prompts = """["Tell the story of a","Tell the story of b",[5,6,7]]""";

    [Theory]
    [InlineData("\"stream\":true,\"stream_options\":{\"include_usage\":true}", 1)]
    [InlineData("\"stream\":true,\"stream_options\":{\"include_usage\":true}", 2)]
    [InlineData("\"temperature\":0", 1)]
    [InlineData("\"temperature\":0", 3)]
    public async Task TextsAndIds_EachHasItsAnswers(string members, int n)
    {
        await using var servers = Repeating();
        await using var gateway = await TestGateway.StartAsync([.. servers]);

        var reply = await gateway.PostAsync("/v1/completions", $$"""{"model":"story","prompt":{{Prompts}},"n":{{n}},{{members}}}""");

        Expect.That(reply, reply.Status == 200 && reply.FinishReasons.Count == 3 * n, "each answer has its end");
        for (var i = 0; i < n; i++)
        {
            Expect.That(reply, reply.TextOfChoice(i) == "Tell the story of a", $"choice {i} answers the first prompt");
            Expect.That(reply, reply.TextOfChoice(n + i) == "Tell the story of b", $"choice {n + i} answers the second prompt");
            Expect.That(reply, reply.TextOfChoice((2 * n) + i) == "[5,6,7]", $"choice {(2 * n) + i} answers the third prompt");
        }
        var usage = reply.Usage!.Value;
        Expect.That(
            reply,
            (usage.GetProperty("prompt_tokens").GetInt32(), usage.GetProperty("completion_tokens").GetInt32()) == (3 * 4, 3 * n * 2),
            "each prompt counts once, and all answers count");
    }

    [Fact]
    public async Task ServerDiesInOneAnswer_AllAreRight()
    {
        var dead = 0;
        Answer answer = exchange => exchange.Request.Body.Contains("of b", StringComparison.Ordinal) && Interlocked.Exchange(ref dead, 1) == 0
            ? Answers.Cut([.. SmallModel.Words.Take(20)])(exchange)
            : SmallModel.AnswerAsync(exchange, SmallModel.Text[..(DeliveredWords(exchange.Request) * 7)]);
        await using var servers = ServerSet.Of(2, answer);
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(), [.. servers]);

        var reply = await gateway.PostAsync(
            "/v1/completions", """{"model":"story","prompt":["Tell the story of a","Tell the story of b","Tell the story of c"],"stream":true}""");

        Expect.That(reply, reply is { Status: 200, IsDone: true } && reply.FinishReasons.Count == 3, "each answer has its end");
        for (var choice = 0; choice < 3; choice++)
            Expect.That(reply, reply.TextOfChoice(choice) == SmallModel.Text, $"the text of choice {choice} is whole");
        Assert.Equal(4, servers.Generations);
    }

    [Fact]
    public async Task OnePromptIsRefused_TheRequestIsRefusedInTheEnginesWords()
    {
        await using var server = new ScriptedServer(exchange => exchange.Request.Body.Contains("of b", StringComparison.Ordinal)
            ? Answers.Json("""{"error":{"message":"the prompt is too rude","type":"invalid_request_error","param":"prompt","code":"rude"}}""", 400)(exchange)
            : exchange.Left.ContinueWith(_ => Ending.Close, TestContext.Current.CancellationToken, TaskContinuationOptions.None, TaskScheduler.Default));
        await using var gateway = await TestGateway.StartAsync(server);

        var reply = await gateway.PostAsync("/v1/completions", """{"model":"story","prompt":["Tell the story of a","Tell the story of b"],"stream":true}""");

        Expect.Refusal(reply, 400, "the prompt is too rude");
        await gateway.WhenIdleAsync(server.Name);
    }

    private static int DeliveredWords(ScriptedRequest request)
    {
        var prompt = request.Json.GetProperty("prompt").GetString()!;
        return Math.Max(0, prompt.Length - "Tell the story of a".Length) / 7;
    }

    /// <summary>Servers that answer with the prompt.</summary>
    private static ServerSet Repeating()
    {
        Answer answer = async exchange =>
        {
            var prompt = exchange.Request.Json.GetProperty("prompt");
            await exchange.StreamAsync();
            await exchange.TextAsync(prompt.ValueKind == System.Text.Json.JsonValueKind.String ? prompt.GetString()! : prompt.GetRawText());
            await exchange.FinishAsync();
            await exchange.EventAsync(Events.Usage("""{"prompt_tokens":4,"completion_tokens":2,"total_tokens":6}""", isChat: false));
            await exchange.DoneAsync();
            return await exchange.EndAsync();
        };
        var servers = ServerSet.Of(2, answer);
        foreach (var server in servers)
            server.GenerateForGateway = exchange => exchange.Request.IsChat ? SmallModel.AnswerAsync(exchange) : answer(exchange);
        return servers;
    }
}
