using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>A URL is enough: how many requests run at once is found out.</summary>
public sealed class UrlSlotTests
{
    /// <summary>The bound begins at 64 where the server does not say.</summary>
    [Fact]
    public async Task NoSlotsTold_SixtyFourRequestsRunAtOnce()
    {
        var gate = new Gate();
        await using var server = new ScriptedServer(gate.Between("a "));
        await using var gateway = await TestGateway.StartWithUrlsAsync(server);
        await gateway.WhenServedAsync(server.Name);

        var calls = await Task.WhenAll(Enumerable.Range(0, 64).Select(_ => gateway.OpenChatAsync()));
        await server.WhenAskedAsync(64);
        gate.Open();

        foreach (var call in calls)
        {
            Expect.Answer(await call.EndAsync(), "a ");
            call.Dispose();
        }
    }

    /// <summary>The server's waiting count grows: the bound shrinks.</summary>
    [Fact]
    public async Task ServerQueues_BoundShrinks()
    {
        var running = 0;
        using var capacity = new SemaphoreSlim(4);
        await using var server = KnownServers.Vllm(async exchange =>
        {
            Interlocked.Increment(ref running);
            await capacity.WaitAsync(exchange.Stop);
            await exchange.SilenceAsync(TimeSpan.FromMilliseconds(20));
            capacity.Release();
            Interlocked.Decrement(ref running);
            return await Answers.Words("a ")(exchange);
        });
        server.On("/metrics", exchange => Answers.Json(
            $"vllm:num_requests_running{{engine=\"0\"}} {Math.Min(4, running)}\nvllm:num_requests_waiting{{engine=\"0\"}} {Math.Max(0, running - 4)}\n",
                type: "text/plain")(exchange));
        await using var gateway = await TestGateway.StartWithUrlsAsync(server);
        await gateway.WhenServedAsync(server.Name);

        Assert.InRange(await SlotsUnderLoadAsync(gateway, server.Name, most: 56), 1, 56);
    }

    /// <summary>No waiting count: the bound shrinks when time to first token grows with the gateway's own concurrency.</summary>
    [Fact]
    public async Task ServerWithoutWaitingCountQueues_BoundShrinks()
    {
        using var capacity = new SemaphoreSlim(2);
        await using var server = new ScriptedServer(async exchange =>
        {
            await capacity.WaitAsync(exchange.Stop);
            await exchange.SilenceAsync(TimeSpan.FromMilliseconds(20));
            capacity.Release();
            return await Answers.Words("a ")(exchange);
        });
        await using var gateway = await TestGateway.StartWithUrlsAsync(server);
        await gateway.WhenServedAsync(server.Name);
        // What a request waits alone is known from requests, not from the first one only, which waits for the start of everything.
        for (var i = 0; i < 8; i++)
            Expect.Answer(await gateway.ChatAsync(seconds: 30), "a ");

        Assert.InRange(await SlotsUnderLoadAsync(gateway, server.Name, most: 48), 1, 48);
    }

    /// <summary>llama-cpp-python runs one request at a time: a second one interrupts the first.</summary>
    [Theory]
    [InlineData("me")]
    [InlineData("somebody")]
    public async Task SecondRequestEndsTheFirst_AnswersAreRight(string ownedBy)
    {
        await using var server = KnownServers.Interrupting(ownedBy);
        await using var gateway = await TestGateway.StartWithUrlsAsync(server);
        await gateway.WhenServedAsync(server.Name);

        var replies = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => gateway.ChatAsync(seconds: 30)));

        Assert.All(replies, reply => Expect.Answer(reply, SmallModel.Text));
        if (ownedBy == "me")
            Assert.Equal(4, server.Generations);
        Assert.Equal(1, (await gateway.StatusAsync(server.Name)).GetProperty("slots").GetInt32());
    }

    /// <summary>Two such servers mixed texts without any kill: 98 failovers.</summary>
    [Fact]
    public async Task TwoServersThatInterrupt_AnswersAreRight()
    {
        await using var first = KnownServers.Interrupting("me");
        await using var second = KnownServers.Interrupting("me");
        await using var gateway = await TestGateway.StartWithUrlsAsync(first, second);
        await gateway.WhenServedAsync(first.Name, second.Name);

        var replies = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => gateway.ChatAsync(seconds: 30)));

        Assert.All(replies, reply => Expect.Answer(reply, SmallModel.Text));
        Assert.Equal(6, first.Generations + second.Generations);
    }

    /// <summary>Gateways of one group that name one URL share its bound.</summary>
    [Fact]
    public async Task TwoGatewaysNameOneUrl_TheyShareTheBound()
    {
        await using var server = KnownServers.Interrupting("me");
        await using var first = await TestGateway.StartWithUrlsAsync(server);
        await using var second = await TestGateway.StartAsync(new TestGateway.Setup { Slots = null, Awaits = false, Join = first.GossipAddress }, server);
        await first.WhenServedAsync(server.Name);
        await second.WhenServedAsync(server.Name);

        var replies = await Task.WhenAll(Enumerable.Range(0, 6).Select(i => (i % 2 == 0 ? first : second).ChatAsync(seconds: 30)));

        Assert.All(replies, reply => Expect.Answer(reply, SmallModel.Text));
    }

    /// <summary>Loads the server until its bound is at most this, or for a minute.</summary>
    /// <returns>The bound.</returns>
    private static async Task<int> SlotsUnderLoadAsync(TestGateway gateway, string name, int most)
    {
        const int Clients = 64;
        using var isOver = new CancellationTokenSource(TimeSpan.FromMinutes(1), TimeProvider.System);
        var slots = int.MaxValue;
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(async client =>
        {
            while (!isOver.IsCancellationRequested)
            {
                Expect.Answer(await gateway.ChatAsync(seconds: 30), "a ");
                if (client > 0)
                    continue;
                slots = (await gateway.StatusAsync(name)).GetProperty("slots").GetInt32();
                if (slots <= most)
                    await isOver.CancelAsync();
            }
        }));
        return slots;
    }
}
