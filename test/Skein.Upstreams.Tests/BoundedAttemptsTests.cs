using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>Attempts of one request are bounded, and cost others nothing.</summary>
public sealed class BoundedAttemptsTests
{
    /// <summary>Default bound on the attempts of one request.</summary>
    private const int MostAttempts = 8;

    private const string ErrorEvent = """{"error":{"message":"the scheduler failed","type":"server_error","code":500}}""";

    /// <summary>One request made 151 calls in 40 s: each attempt delivered one chunk, which counted as progress.</summary>
    [Theory]
    [InlineData("done", 1)]
    [InlineData("fin", 1)]
    [InlineData("error event", 1)]
    [InlineData("done", 2)]
    [InlineData("fin", 2)]
    [InlineData("error event", 2)]
    public async Task OneChunkThenAFault_Always_EndsAfterAFewAttempts(string fault, int count)
    {
        await using var servers = ServerSet.Of(count, OneChunkThen(fault));
        await using var gateway = await TestGateway.StartAsync([.. servers]);

        var reply = await gateway.ChatAsync(seconds: 35);

        Expect.Error(reply);
        Expect.NoAddress(reply);
        Assert.InRange(servers.Generations, 1, MostAttempts);
        Expect.Within(reply, 10);
    }

    [Fact]
    public async Task EachAttemptDeliversOneWord_AttemptsAreBoundedThoughThereIsProgress()
    {
        await using var first = new ScriptedServer(OneWordMore);
        await using var second = new ScriptedServer(OneWordMore);
        await using var gateway = await TestGateway.StartAsync(first, second);

        var reply = await gateway.ChatAsync(seconds: 35);

        Expect.Error(reply);
        Assert.InRange(first.Generations + second.Generations, 2, MostAttempts);
    }

    /// <summary>102 calls for one request in 0.37 s emptied everybody's retry budget: 2 of the next 10 good requests failed.</summary>
    [Fact]
    public async Task RequestsThatAlwaysFail_LeaveTheRetryBudgetToOthers()
    {
        var failed = new System.Collections.Concurrent.ConcurrentDictionary<string, bool>();
        Answer answer = exchange =>
        {
            var body = exchange.Request.Body;
            if (body.Contains("poison", StringComparison.Ordinal))
                return Answers.Cut("a ")(exchange);
            // The first try of each good request fails.
            return failed.TryAdd(exchange.Request.Json.GetProperty("user").GetString()!, true)
                ? Answers.Error(503, "a short trouble")(exchange)
                : SmallModel.AnswerAsync(exchange);
        };
        await using var first = new ScriptedServer(answer);
        await using var second = new ScriptedServer(answer);
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(), first, second);

        for (var i = 0; i < 3; i++)
            Expect.Error(await gateway.ChatAsync("\"stream\":true,\"user\":\"poison\"", seconds: 35));
        for (var i = 0; i < 10; i++)
            Expect.Answer(await gateway.ChatAsync($"\"stream\":true,\"user\":\"good {i}\""), SmallModel.Text);
    }

    /// <summary>A request that ends its server went on to the next ones.</summary>
    [Theory]
    [InlineData(3)]
    [InlineData(4)]
    public async Task RequestThatKillsItsServer_LeavesTheLastOneAlive(int count)
    {
        await using var servers = ServerSet.Of(count);
        foreach (var server in servers)
        {
            server.Generate = exchange =>
            {
                if (!exchange.Request.Body.Contains("killer", StringComparison.Ordinal))
                    return SmallModel.AnswerAsync(exchange);
                // The kill waits for this answer: it must not be awaited here.
                _ = server.KillAsync();
                return Task.FromResult(Ending.Close);
            };
        }
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(), [.. servers]);

        var killer = await gateway.ChatAsync("\"stream\":true,\"user\":\"killer\"", seconds: 35);
        var other = await gateway.ChatAsync(seconds: 35);

        Expect.Error(killer);
        Assert.InRange(servers.Sum(server => server.Asked.Count(request => request.Body.Contains("killer", StringComparison.Ordinal))), 1, count - 1);
        Expect.Answer(other, SmallModel.Text);
    }

    /// <summary>An id beyond the vocabulary ends some servers.</summary>
    [Fact]
    public async Task IdBeyondTheVocabulary_IsRefusedBeforeAServerSeesIt()
    {
        await using var server = new ScriptedServer();
        server.On("/v1/models", Answers.Json(
            """{"object":"list","data":[{"id":"story","object":"model","owned_by":"llamacpp","meta":{"n_vocab":2330,"n_ctx_train":512}}]}"""));
        await using var gateway = await TestGateway.StartAsync(server);

        var reply = await gateway.PostAsync("/v1/completions", """{"model":"story","prompt":[1,999999],"user":"Tell the story"}""");

        Expect.Refusal(reply, 400, "999999", "2330");
        Assert.Equal(0, server.Generations);
    }

    /// <summary>
    /// Requests before whose first token two servers died are suspect: they are kept from the last living server, and all others go on there at once.
    /// </summary>
    [Fact]
    public async Task SuspectRequests_DoNotHoldUpOthers()
    {
        await using var servers = ServerSet.Of(5);
        var kills = 0;
        var fourDied = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        foreach (var server in servers)
        {
            server.Generate = exchange =>
            {
                if (!exchange.Request.Body.Contains("killer", StringComparison.Ordinal))
                    return SmallModel.AnswerAsync(exchange);
                _ = server.KillAsync();
                if (Interlocked.Increment(ref kills) == 4)
                    fourDied.SetResult();
                return Task.FromResult(Ending.Close);
            };
        }
        await using var gateway = await TestGateway.StartAsync([.. servers]);

        // Two servers each, at most.
        var killers = Task.WhenAll(Enumerable.Range(0, 2).Select(_ => gateway.ChatAsync("\"stream\":true,\"user\":\"killer\"", seconds: 35)));
        await Task.WhenAny(fourDied.Task, killers);
        var others = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => gateway.ChatAsync(seconds: 35)));

        Assert.All(others, reply => Expect.Answer(reply, SmallModel.Text));
        Assert.All(others, reply => Expect.Within(reply, 3));
        Assert.All(await killers, Expect.Error);
        Assert.InRange(kills, 2, 4);
    }

    /// <summary>All servers died in the same instant and came back: 4 of 5 runs ended in "2 replicas in a row were lost".</summary>
    [Fact]
    public async Task AllServersDieAtOnceAndComeBack_AllStreamsAreFinished()
    {
        var died = false;
        Answer answer = async exchange =>
        {
            if (Volatile.Read(ref died))
                return await SmallModel.AnswerAsync(exchange);
            await exchange.StreamAsync();
            foreach (var word in SmallModel.Words.Take(10))
                await exchange.TextAsync(word);
            await exchange.UntilAsync(Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, exchange.Stop));
            return Ending.Close;
        };
        await using var first = new ScriptedServer(answer);
        await using var second = new ScriptedServer(answer);
        await using var gateway = await TestGateway.StartAsync(first, second);
        var calls = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => gateway.OpenChatAsync()));
        await Task.WhenAll(calls.Select(call => call.UntilAsync(SmallModel.Words[9])));

        Volatile.Write(ref died, true);
        await Task.WhenAll(first.KillAsync(), second.KillAsync());
        await Task.Delay(TimeSpan.FromMilliseconds(700), TimeProvider.System, TestContext.Current.CancellationToken);
        first.Restart();
        second.Restart();
        var replies = await Task.WhenAll(calls.Select(call => call.EndAsync(35)));

        Assert.All(replies, reply => Expect.Answer(reply, SmallModel.Text));
        Assert.All(replies, reply => Expect.Within(reply, 12));
        foreach (var call in calls)
            call.Dispose();
    }

    private static Answer OneChunkThen(string fault) => async exchange =>
    {
        await exchange.StreamAsync();
        await exchange.TextAsync("a ");
        switch (fault)
        {
            case "fin":
                return Ending.Close;
            case "done":
                await exchange.DoneAsync();
                break;
            default:
                await exchange.EventAsync(ErrorEvent);
                break;
        }
        return await exchange.EndAsync();
    };

    private static async Task<Ending> OneWordMore(Exchange exchange)
    {
        var delivered = exchange.Request.Delivered.Length / 7;
        await exchange.StreamAsync();
        await exchange.TextAsync(SmallModel.Words[delivered]);
        return Ending.Close;
    }
}
