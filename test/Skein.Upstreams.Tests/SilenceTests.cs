using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>Silence of servers that are alive, and of servers that are not.</summary>
public sealed class SilenceTests
{
    private const string ToolCall =
        """{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"look","arguments":"{\"at\":\"sea\"}"}}]}""";

    private const string Tools =
        """
        "stream":true,"tools":[{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}]
        """;

    /// <summary>A tool call that the server holds back until it is whole was lost after 5 s, though it answered its health questions all the time.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task LiveServerIsSilentForSevenSeconds_ToolCallArrives(int count)
    {
        await using var servers = ServerSet.Of(count, SilentThenToolCall(comments: false));
        await using var gateway = await TestGateway.StartAsync([.. servers]);

        var reply = await gateway.ChatAsync(Tools, seconds: 40);

        Expect.Answer(reply, "a b c d ", "tool_calls");
        Assert.Contains("look", reply.Body, StringComparison.Ordinal);
        Assert.Equal(1, servers.Generations);
    }

    [Fact]
    public async Task CommentsEachSecond_CountAsLife()
    {
        await using var server = new ScriptedServer(SilentThenToolCall(comments: true));
        await using var gateway = await TestGateway.StartAsync(server);

        var reply = await gateway.ChatAsync(Tools, seconds: 40);

        Expect.Answer(reply, "a b c d ", "tool_calls");
        Assert.Equal(1, server.Generations);
    }

    [Fact]
    public async Task SlowTokens_OneEverySixSeconds_AreNoStall()
    {
        await using var server = new ScriptedServer(async exchange =>
        {
            await exchange.StreamAsync();
            foreach (var word in (string[])["a ", "b "])
            {
                await exchange.TextAsync(word);
                await exchange.SilenceAsync(TimeSpan.FromSeconds(6));
            }
            await exchange.FinishAsync();
            await exchange.DoneAsync();
            return await exchange.EndAsync();
        });
        await using var gateway = await TestGateway.StartAsync(server);

        Expect.Answer(await gateway.ChatAsync(seconds: 40), "a b ");
        Assert.Equal(1, server.Generations);
    }

    /// <summary>A server that is silent and does not answer its health questions is given up after about 3 s.</summary>
    [Fact]
    public async Task SilentAndNoAnswerToHealth_StreamGoesOnElsewhere()
    {
        await using var frozen = new ScriptedServer();
        await using var good = new ScriptedServer();
        var first = 0;
        Answer freezing(ScriptedServer self) => async exchange =>
        {
            if (Interlocked.Exchange(ref first, 1) != 0)
                return await SmallModel.AnswerAsync(exchange);
            self.Everything = Hang;
            self.On("/v1/models", Hang).On("/health", Hang);
            await exchange.StreamAsync();
            foreach (var word in SmallModel.Words.Take(10))
                await exchange.TextAsync(word);
            return await Hang(exchange);
        };
        frozen.Generate = freezing(frozen);
        good.Generate = freezing(good);
        await using var gateway = await TestGateway.StartAsync(frozen, good);

        var reply = await gateway.ChatAsync(seconds: 30);

        Expect.Answer(reply, SmallModel.Text);
        Expect.Within(reply, 6);
    }

    /// <summary>Both servers took 12 s for /v1/models: both were taken out, though they generate.</summary>
    [Fact]
    public async Task HealthTakesTwelveSecondsOnBoth_LastOneStays()
    {
        Answer slow(Answer answer) => async exchange =>
        {
            await exchange.SilenceAsync(TimeSpan.FromSeconds(12));
            return await answer(exchange);
        };
        var models = Answers.Json($$"""{"data":[{"id":"{{ScriptedServer.Model}}"}]}""");
        await using var first = new ScriptedServer();
        await using var second = new ScriptedServer();
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(), first, second);
        foreach (var server in (ScriptedServer[])[first, second])
            server.On("/v1/models", slow(models)).On("/health", slow(Answers.Json("{}"))).On("/version", slow(Answers.Json("{}", 404)));

        for (var i = 0; i < 20; i++)
        {
            await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System, TestContext.Current.CancellationToken);
            Expect.Answer(await gateway.ChatAsync(), SmallModel.Text);
        }
    }

    /// <summary>The client is told that the stream lives while its server is silent.</summary>
    [Fact]
    public async Task LiveServerIsSilent_HealthIsAskedMeanwhile()
    {
        var gate = new Gate();
        await using var server = new ScriptedServer(gate.Between("a "));
        await using var gateway = await TestGateway.StartAsync(server);
        using var call = await gateway.OpenChatAsync();
        await call.UntilAsync("a ");
        var (asked, own) = (server.Requests.Count, server.OwnGenerations);

        await server.WhenAsync(request => request.Method == "GET" && server.Requests.Count > asked + 1);
        gate.Open();

        Expect.Answer(await call.EndAsync(), "a ");
        Assert.Equal(own, server.OwnGenerations);
    }

    private static Answer SilentThenToolCall(bool comments) => async exchange =>
    {
        await exchange.StreamAsync();
        foreach (var word in (string[])["a ", "b ", "c ", "d "])
            await exchange.TextAsync(word);
        for (var second = 0; second < 7 && !exchange.Left.IsCompleted; second++)
        {
            await exchange.SilenceAsync(TimeSpan.FromSeconds(1));
            if (comments)
                await exchange.ChunkAsync(": keep-alive\n\n");
        }
        await exchange.EventAsync(Events.Delta(ToolCall));
        await exchange.FinishAsync("tool_calls");
        await exchange.DoneAsync();
        return await exchange.EndAsync();
    };

    private static async Task<Ending> Hang(Exchange exchange)
    {
        await exchange.UntilAsync(Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, exchange.Stop));
        return Ending.Close;
    }
}
