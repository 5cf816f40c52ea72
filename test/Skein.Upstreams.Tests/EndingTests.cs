using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>How answers end, and how servers of others end them.</summary>
public sealed class EndingTests
{
    /// <summary>The finish reason came, the connection stayed open: the finish was never forwarded, or the answer began again every 5 s.</summary>
    [Theory]
    [InlineData(1, "silence")]
    [InlineData(2, "silence")]
    [InlineData(1, "comments")]
    [InlineData(2, "comments")]
    public async Task FinishWithoutDone_ConnectionStaysOpen_AnswerEndsWithinASecond(int count, string then)
    {
        await using var servers = ServerSet.Of(count, async exchange =>
        {
            await exchange.StreamAsync();
            await exchange.TextAsync("a ");
            await exchange.FinishAsync();
            while (!exchange.Left.IsCompleted)
            {
                await exchange.SilenceAsync(TimeSpan.FromMilliseconds(200));
                if (then == "comments")
                    await exchange.ChunkAsync(": keep-alive\n\n");
            }
            return Ending.Close;
        });
        await using var gateway = await TestGateway.StartAsync([.. servers]);

        var reply = await gateway.ChatAsync(seconds: 35);

        Expect.Answer(reply, "a ");
        Expect.Within(reply, 2);
        Assert.Equal(1, servers.Generations);
        await gateway.WhenIdleAsync([.. servers.Select(server => server.Name)]);
    }

    [Fact]
    public async Task FinishThenUsageButNoDone_UsageArrives()
    {
        await using var server = new ScriptedServer(async exchange =>
        {
            await exchange.StreamAsync();
            await exchange.TextAsync("a ");
            await exchange.FinishAsync();
            await exchange.SilenceAsync(TimeSpan.FromMilliseconds(200));
            await exchange.EventAsync(Events.Usage("""{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}"""));
            await exchange.UntilAsync(exchange.Left);
            return Ending.Close;
        });
        await using var gateway = await TestGateway.StartAsync(server);

        var reply = await gateway.ChatAsync("\"stream\":true,\"stream_options\":{\"include_usage\":true}", seconds: 35);

        Expect.Answer(reply, "a ");
        Expect.That(reply, reply.Usage?.GetProperty("prompt_tokens").GetInt32() == 5, "the usage is the server's");
        Expect.Within(reply, 2.5);
    }

    /// <summary>The finish reason reaches the client before the server ends its stream.</summary>
    [Fact]
    public async Task Finish_IsForwardedAtOnce()
    {
        var gate = new TaskCompletionSource();
        await using var server = new ScriptedServer(async exchange =>
        {
            await exchange.StreamAsync();
            await exchange.TextAsync("a ");
            await exchange.FinishAsync();
            await exchange.UntilAsync(gate.Task);
            await exchange.DoneAsync();
            return await exchange.EndAsync();
        });
        await using var gateway = await TestGateway.StartAsync(server);

        using var call = await gateway.OpenChatAsync();
        await call.UntilAsync("\"finish_reason\":\"stop\"", seconds: 3);
        gate.SetResult();

        Expect.Answer(await call.EndAsync(), "a ");
    }

    /// <summary>After the finish reason nothing can be a fault any more.</summary>
    [Theory]
    [InlineData("fin")]
    [InlineData("reset")]
    [InlineData("garbage")]
    [InlineData("error event")]
    public async Task FaultAfterTheFinish_IsNone(string fault)
    {
        await using var server = new ScriptedServer(async exchange =>
        {
            await exchange.StreamAsync();
            await exchange.TextAsync("a ");
            await exchange.FinishAsync();
            if (fault == "garbage")
                await exchange.ChunkAsync("data: {\"cho\n\n");
            if (fault == "error event")
                await exchange.EventAsync("""{"error":{"message":"too late","code":500}}""");
            return fault == "reset" ? Ending.Reset : Ending.Close;
        });
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(), server);

        Expect.Answer(await gateway.ChatAsync(), "a ");
        Assert.Equal(1, server.Generations);
    }

    /// <summary>A stream that ends in [DONE] without a finish reason was interrupted: the answer goes on elsewhere.</summary>
    [Fact]
    public async Task DoneWithoutFinish_GoesOn()
    {
        var first = 0;
        Answer answer = async exchange =>
        {
            if (Interlocked.Exchange(ref first, 1) != 0)
                return await SmallModel.AnswerAsync(exchange);
            await exchange.StreamAsync();
            foreach (var word in SmallModel.Words.Take(10))
                await exchange.TextAsync(word);
            await exchange.DoneAsync();
            return await exchange.EndAsync();
        };
        await using var one = new ScriptedServer(answer);
        await using var two = new ScriptedServer(answer);
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(), one, two);

        Expect.Answer(await gateway.ChatAsync(), SmallModel.Text);
        Assert.Equal(2, one.Generations + two.Generations);
    }

    [Theory]
    [InlineData("eos")]
    [InlineData("abort")]
    [InlineData("max_tokens")]
    [InlineData("recitation")]
    public async Task FinishReasonOfOtherWords_IsPassedOn(string reason)
    {
        await using var server = new ScriptedServer(Answers.Stream(Events.Text(true, "a "), Events.Finish(true, reason), "[DONE]"));
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(), server);

        Expect.Answer(await gateway.ChatAsync(), "a ", reason);
    }

    /// <summary>The slot of an answer whose client left is free at once, and the server sees the client leave.</summary>
    [Fact]
    public async Task ClientLeaves_ServerIsStopped()
    {
        await using var server = new ScriptedServer(async exchange =>
        {
            await exchange.StreamAsync();
            await exchange.TextAsync("a ");
            await exchange.UntilAsync(exchange.Left);
            return Ending.Close;
        });
        await using var gateway = await TestGateway.StartAsync(server);

        using (var call = await gateway.OpenChatAsync())
            await call.UntilAsync("a ");

        await gateway.WhenIdleAsync(server.Name);
        await server.WhenAbortedAsync();
        Assert.Equal(1, server.Aborted);
    }
}
