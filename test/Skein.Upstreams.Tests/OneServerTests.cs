using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>One server and one hiccup: the server is asked again.</summary>
public sealed class OneServerTests
{
    /// <summary>After one error the only server was never asked again, and the client waited 30 s.</summary>
    [Theory]
    [InlineData("500")]
    [InlineData("503")]
    [InlineData("429")]
    [InlineData("reset")]
    [InlineData("fin")]
    [InlineData("error event")]
    [InlineData("empty 200")]
    public async Task OneHiccup_IsAskedAgainAndAnswers(string hiccup)
    {
        await using var server = new ScriptedServer(Answers.InTurn(HiccupOf(hiccup), SmallModel.AnswerAsync));
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(), server);

        var reply = await gateway.ChatAsync();

        Assert.Equal((200, SmallModel.Text, true), (reply.Status, reply.Text, reply.IsDone));
        Assert.Equal(["stop"], reply.FinishReasons);
        Assert.Equal(2, server.Generations);
        Assert.InRange(reply.Duration, TimeSpan.Zero, TimeSpan.FromSeconds(2.5));
    }

    [Theory]
    [InlineData("500")]
    [InlineData("503")]
    [InlineData("429")]
    [InlineData("error event")]
    public async Task OneHiccup_FailoverNever_IsAnsweredOrToldInTheEnginesWordsAtOnce(string hiccup)
    {
        await using var server = new ScriptedServer(Answers.InTurn(HiccupOf(hiccup), SmallModel.AnswerAsync));
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(), server);

        var reply = await gateway.ChatAsync(headers: "x-skein-failover: never\r\n");

        Assert.InRange(reply.Duration, TimeSpan.Zero, TimeSpan.FromSeconds(2));
        if (reply.Status != 200)
            Assert.Contains("a short trouble", reply.ErrorMessage, StringComparison.Ordinal);
        else
            Assert.Equal(SmallModel.Text, reply.Text);
    }

    [Fact]
    public async Task OneHiccup_TwentyRequestsAtOnce_AllAreAnswered()
    {
        await using var server = new ScriptedServer(exchange => exchange.Request.Number < 5
            ? Answers.Error(503, "a short trouble")(exchange) : SmallModel.AnswerAsync(exchange));
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(), server);

        var replies = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => gateway.ChatAsync()));

        Assert.All(replies, reply => Assert.Equal((200, SmallModel.Text), (reply.Status, reply.Text)));
    }

    /// <summary>A server that always fails: the words that it says, promptly, not "no live replica" after 30 s.</summary>
    [Fact]
    public async Task AlwaysFails_ErrorIsItsOwnAndPrompt()
    {
        await using var server = new ScriptedServer(Answers.Error(500, "the tokenizer is broken"));
        await using var gateway = await TestGateway.StartAsync(server);

        var reply = await gateway.ChatAsync(seconds: 35);

        Assert.Equal(500, reply.Status);
        Assert.Contains("the tokenizer is broken", reply.ErrorMessage, StringComparison.Ordinal);
        Assert.InRange(reply.Duration, TimeSpan.Zero, TimeSpan.FromSeconds(8));
        Assert.InRange(server.Generations, 1, 8);
    }

    /// <summary>The server refuses to continue, as one does that takes no last message of the assistant: the answer is made again.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task AllRefuseAResume_AnswerIsMadeAgain(int count)
    {
        await using var servers = ServerSet.Of(count);
        var asked = 0;
        foreach (var server in servers)
        {
            server.Generate = exchange => exchange.Request.Delivered.Length > 0 ? Answers.Error(400, "the last message must be the user's")(exchange)
                : Interlocked.Increment(ref asked) == 1 ? Answers.Cut([.. SmallModel.Words.Take(20)])(exchange)
                : SmallModel.AnswerAsync(exchange);
        }
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(), [.. servers]);

        var reply = await gateway.ChatAsync();

        Assert.Equal((200, SmallModel.Text, true), (reply.Status, reply.Text, reply.IsDone));
    }

    /// <summary>A restart of the only server took 30.7 s though it answered again after 0.8 s.</summary>
    [Fact]
    public async Task OnlyServerRestarts_RequestOfTheMeantimeIsAnsweredWhenItIsBack()
    {
        await using var server = new ScriptedServer();
        await using var gateway = await TestGateway.StartAsync(server);
        Assert.Equal(SmallModel.Text, (await gateway.ChatAsync()).Text);

        await server.KillAsync();
        var asked = gateway.ChatAsync(seconds: 35);
        await Task.Delay(TimeSpan.FromMilliseconds(800), TimeProvider.System, TestContext.Current.CancellationToken);
        server.Restart();
        var reply = await asked;

        Assert.Equal((200, SmallModel.Text), (reply.Status, reply.Text));
        Assert.InRange(reply.Duration, TimeSpan.Zero, TimeSpan.FromSeconds(4));
    }

    [Fact]
    public async Task OnlyServerRestartsInMidStream_StreamGoesOn()
    {
        var gate = new TaskCompletionSource();
        await using var server = new ScriptedServer();
        server.Generate = Answers.InTurn(
            async exchange =>
            {
                await exchange.StreamAsync();
                foreach (var word in SmallModel.Words.Take(10))
                    await exchange.TextAsync(word);
                await exchange.UntilAsync(gate.Task);
                return Ending.Close;
            },
            SmallModel.AnswerAsync);
        await using var gateway = await TestGateway.StartAsync(server);

        using var call = await gateway.OpenChatAsync();
        await call.UntilAsync(SmallModel.Words[9]);
        await server.KillAsync();
        server.Restart();
        var reply = await call.EndAsync(35);

        Assert.Equal((SmallModel.Text, true), (reply.Text, reply.IsDone));
        Assert.InRange(reply.Duration, TimeSpan.Zero, TimeSpan.FromSeconds(5));
    }

    private static Answer HiccupOf(string name) => name switch
    {
        "reset" => Answers.Reset,
        "fin" => _ => Task.FromResult(Ending.Close),
        "error event" => Answers.Stream("""{"error":{"message":"a short trouble","type":"server_error","code":500}}"""),
        "empty 200" => Answers.Stream(),
        _ => Answers.Error(int.Parse(name), "a short trouble"),
    };
}
