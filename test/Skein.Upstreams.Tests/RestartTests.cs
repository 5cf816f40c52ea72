using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>Servers that start anew where they should continue.</summary>
public sealed class RestartTests
{
    private static readonly string[] Periodic = [.. Enumerable.Repeat("la ", 60)];

    /// <summary>The client got "w0…w19 w0 w1 …", finish "stop" and [DONE].</summary>
    [Theory]
    [InlineData("chat", 20, "\"stream\":true", true)]
    [InlineData("chat", 20, "\"stream\":true", false)]
    [InlineData("chat", 20, "", false)]
    [InlineData("chat", 3, "\"stream\":true", false)]
    [InlineData("chat", 38, "\"stream\":true", false)]
    [InlineData("completions", 20, "\"stream\":true", true)]
    [InlineData("completions", 20, "\"stream\":true", false)]
    [InlineData("completions", 20, "", false)]
    public async Task StartsAnewAfterAKill_TextComesOnce(string api, int delivered, string members, bool alsoWhenProbed)
    {
        await using var pair = await Pair.StartAsync(SmallModel.Words, delivered, SmallModel.RestartAsync, alsoWhenProbed);

        var reply = api == "chat" ? await pair.Gateway.ChatAsync(members) : await pair.Gateway.CompleteAsync(members);

        Expect.Answer(reply, SmallModel.Text);
    }

    /// <summary>The test at connect time shows that it starts anew: status, log and the answer's header say so.</summary>
    [Fact]
    public async Task StartsAnewWhenProbed_TierIsNoneWithItsReason()
    {
        await using var pair = await Pair.StartAsync(SmallModel.Words, 20, SmallModel.RestartAsync, restartsWhenProbed: true);

        var reply = await pair.Gateway.ChatAsync();
        var row = await pair.Gateway.StatusAsync(pair.Name);

        Assert.Equal("none", reply.Header("x-skein-resume-tier"));
        Assert.Equal("none", row.GetProperty("tier").GetString());
        Assert.Contains("starts anew", row.GetProperty("reason").GetString(), StringComparison.Ordinal);
        Assert.Contains(pair.Gateway.Log.With(pair.Name), line =>
            line.Message.Contains("resume tier none", StringComparison.Ordinal) && line.Message.Contains("starts anew", StringComparison.Ordinal));
    }

    [Fact]
    public async Task ContinuesWhenProbed_TierIsText()
    {
        await using var pair = await Pair.StartAsync(SmallModel.Words, 20, SmallModel.AnswerAsync);

        var reply = await pair.Gateway.ChatAsync();
        var row = await pair.Gateway.StatusAsync(pair.Name);

        Assert.Equal("text", reply.Header("x-skein-resume-tier"));
        Assert.Equal(("text", ""), (row.GetProperty("tier").GetString(), row.GetProperty("reason").GetString()));
    }

    /// <summary>It starts anew in other words after a few bytes: that was taken for a continuation.</summary>
    [Fact]
    public async Task StartsAnewAndDiffersEarly_IsMadeAgainAndIsAnHonestError()
    {
        string[] told = ["The ", "quick ", "brown ", "fox ", "jumps ", "over ", "the ", "lazy ", "dog ", "and ", "runs ", "away "];
        string[] again = [told[0], "slow ", .. told[2..]];
        await using var pair = await Pair.StartAsync(told, 9, Answers.Words(again));

        var reply = await pair.Gateway.ChatAsync();

        Expect.Error(reply);
        Expect.That(reply, string.Concat(told).StartsWith(reply.Text, StringComparison.Ordinal), "the text up to the error is right");
    }

    /// <summary>It starts anew and differs after 64 bytes or more: nobody can continue that.</summary>
    [Fact]
    public async Task StartsAnewAndDiffersLater_IsAnHonestError()
    {
        await using var pair = await Pair.StartAsync(SmallModel.Words, 20, Answers.Words([.. SmallModel.Words.Take(15), .. Enumerable.Repeat("other ", 20)]));

        var reply = await pair.Gateway.ChatAsync();

        Expect.Error(reply);
        Expect.That(reply, SmallModel.Text.StartsWith(reply.Text, StringComparison.Ordinal), "the text up to the error is right");
    }

    /// <summary>A continued text may begin as the delivered one does.</summary>
    [Fact]
    public async Task ContinuationBeginsLikeTheDelivered_IsNoRestart()
    {
        string[] words = ["once ", "more ", "they ", "sang ", "once ", "more ", "and ", "then ", "slept "];
        await using var pair = await Pair.StartAsync(words, 4, exchange => ContinueAsync(exchange, words));

        Expect.Answer(await pair.Gateway.ChatAsync(), string.Concat(words));
    }

    /// <summary>A periodic answer on a server that really continues stays right.</summary>
    [Fact]
    public async Task PeriodicAnswerIsContinued_StaysRight()
    {
        await using var pair = await Pair.StartAsync(Periodic, 40, exchange => ContinueAsync(exchange, Periodic));

        Expect.Answer(await pair.Gateway.ChatAsync(), string.Concat(Periodic));
    }

    /// <summary>A periodic answer on a server that starts anew is made again and compared.</summary>
    [Fact]
    public async Task PeriodicAnswerStartsAnew_StaysRight()
    {
        await using var pair = await Pair.StartAsync(Periodic, 40, Answers.Words(Periodic));

        Expect.Answer(await pair.Gateway.ChatAsync(), string.Concat(Periodic));
    }

    [Fact]
    public async Task StartsAnewWithSmallSegments_TextComesOnce()
    {
        await using var pair = await Pair.StartAsync(SmallModel.Words, 20, Answers.Words([.. SmallModel.Text.Select(letter => letter.ToString())]));

        Expect.Answer(await pair.Gateway.ChatAsync(), SmallModel.Text);
    }

    /// <summary>What starts anew and ends before what was delivered is another answer.</summary>
    [Fact]
    public async Task StartsAnewAndEndsEarlier_IsAnHonestError()
    {
        await using var pair = await Pair.StartAsync(SmallModel.Words, 20, Answers.Words([.. SmallModel.Words.Take(12)]));

        var reply = await pair.Gateway.ChatAsync();

        Expect.Error(reply);
    }

    /// <summary>A server that continues is not held up by the look for restarts.</summary>
    [Fact]
    public async Task Continues_TextIsRight()
    {
        await using var pair = await Pair.StartAsync(SmallModel.Words, 20, SmallModel.AnswerAsync);

        Expect.Answer(await pair.Gateway.ChatAsync(), SmallModel.Text);
        Expect.Answer(await pair.Gateway.CompleteAsync(), SmallModel.Text);
    }

    /// <summary>A few blanks more in front: Ollama's and SGLang's way to continue.</summary>
    [Fact]
    public async Task StartsAnewWithABlankInFront_IsNoSilentDuplicate()
    {
        await using var pair = await Pair.StartAsync(SmallModel.Words, 20, Answers.Words([" ", .. SmallModel.Words]));

        var reply = await pair.Gateway.ChatAsync();

        if (reply.Error is null)
            Expect.Answer(reply, SmallModel.Text);
        else
            Expect.Error(reply);
    }

    /// <summary>Answers older than 2 s with tools, reasoning or JSON were lost.</summary>
    [Theory]
    [InlineData("json", "\"stream\":true,\"response_format\":{\"type\":\"json_object\"}")]
    [InlineData("tools", "\"stream\":true,\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"look\",\"parameters\":{\"type\":\"object\"}}}]")]
    [InlineData("reasoning", "\"stream\":true")]
    public async Task OlderThanTwoSeconds_IsMadeAgain(string kind, string members)
    {
        await using var servers = ServerSet.Of(2, CountToTen(
            dyingAt: 8,
            pause: TimeSpan.FromMilliseconds(300),
            eventOf: i => kind == "reasoning" && i < 9 ? Events.Delta($"{{\"reasoning_content\":\"think{i} \"}}") : Events.Text(true, $"{i},")));
        await using var gateway = await TestGateway.StartAsync([.. servers]);

        var reply = await gateway.ChatAsync(members, seconds: 35);

        Expect.Answer(reply, kind == "reasoning" ? "9," : "0,1,2,3,4,5,6,7,8,9,");
        var reasoning = string.Concat(reply.Deltas.Select(delta => Reply.Find(delta, "reasoning_content")?.GetString()));
        Assert.Equal(kind == "reasoning" ? "think0 think1 think2 think3 think4 think5 think6 think7 think8 " : "", reasoning);
    }

    /// <summary>A seeded answer that comes out differently is no answer where the client wants the exact one.</summary>
    [Fact]
    public async Task SeededAnswerDiffersElsewhere_ExactIsAnError()
    {
        await using var pair = await Pair.StartAsync(SmallModel.Words, 20, Answers.Words([.. Enumerable.Repeat("other ", 30)]));

        var reply = await pair.Gateway.ChatAsync("\"stream\":true,\"temperature\":1,\"seed\":5", "x-skein-failover: exact\r\n");

        Expect.Error(reply);
        Expect.That(reply, SmallModel.Text.StartsWith(reply.Text, StringComparison.Ordinal), "the text up to the error is right");
    }

    /// <summary>The bound on an answer that is made again counts the time of making it, not the other server's queue and prefill.</summary>
    [Fact]
    public async Task OtherServerQueuesForThreeSeconds_AnswerIsMadeAgain()
    {
        await using var servers = ServerSet.Of(2, CountToTen(dyingAt: 4, queue: TimeSpan.FromSeconds(3)));
        await using var gateway = await TestGateway.StartAsync([.. servers]);

        Expect.Answer(await gateway.ChatAsync("\"stream\":true,\"response_format\":{\"type\":\"json_object\"}", seconds: 35), "0,1,2,3,4,5,6,7,8,9,");
    }

    /// <summary>The client cannot tell an answer that is made again from a hung connection, unless it hears something.</summary>
    [Fact]
    public async Task MadeAgainSlowly_ClientSeesSignsOfLife()
    {
        var (isFirst, seen) = (0, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        Answer answer = async exchange =>
        {
            var dies = Interlocked.Exchange(ref isFirst, 1) == 0;
            await exchange.StreamAsync();
            for (var i = 0; i < 10; i++)
            {
                await exchange.TextAsync($"{i},");
                if (dies && i == 6)
                    return Ending.Close;
                // Inside what the client has.
                if (!dies && i == 3)
                    await exchange.UntilAsync(seen.Task);
            }
            await exchange.FinishAsync();
            await exchange.DoneAsync();
            return await exchange.EndAsync();
        };
        await using var servers = ServerSet.Of(2, answer);
        var setup = new TestGateway.Setup { Options = options => options with { Api = options.Api with { KeepAlive = TimeSpan.FromSeconds(1) } } };
        await using var gateway = await TestGateway.StartAsync(setup, [.. servers]);
        using var call = await gateway.OpenChatAsync("\"stream\":true,\"response_format\":{\"type\":\"json_object\"}");

        await call.UntilAsync(": keep-alive\ndata: {");
        seen.SetResult();
        var reply = await call.EndAsync();

        Expect.Answer(reply, "0,1,2,3,4,5,6,7,8,9,");
        Assert.Equal(2, servers.Generations);
    }

    /// <summary>Ten events. The first answer ends with the death of its server after one of them.</summary>
    /// <param name="pause">After each event. Default: none.</param>
    /// <param name="queue">Silence before the first event of every answer but the first one. Default: none.</param>
    /// <param name="eventOf">Event of a number. Default: the number as text.</param>
    private static Answer CountToTen(int dyingAt, TimeSpan pause = default, TimeSpan queue = default, Func<int, string>? eventOf = null)
    {
        var isFirst = 0;
        return async exchange =>
        {
            var dies = Interlocked.Exchange(ref isFirst, 1) == 0;
            await exchange.StreamAsync();
            if (!dies)
                await exchange.SilenceAsync(queue);
            for (var i = 0; i < 10; i++)
            {
                await exchange.EventAsync(eventOf?.Invoke(i) ?? Events.Text(true, $"{i},"));
                await exchange.SilenceAsync(pause);
                if (dies && i == dyingAt)
                    return Ending.Close;
            }
            await exchange.FinishAsync();
            await exchange.DoneAsync();
            return await exchange.EndAsync();
        };
    }

    private static Task<Ending> ContinueAsync(Exchange exchange, IReadOnlyList<string> words)
    {
        var text = string.Concat(words);
        var delivered = exchange.Request.Delivered;
        var rest = text.StartsWith(delivered, StringComparison.Ordinal) ? text[delivered.Length..] : text;
        return Answers.Words([.. rest.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(word => word + " ")])(exchange);
    }

    /// <summary>Two servers. The one that is asked first dies after some words; the other one continues as it is told.</summary>
    private sealed class Pair(ScriptedServer first, ScriptedServer second, TestGateway gateway) : IAsyncDisposable
    {
        public TestGateway Gateway { get; } = gateway;

        /// <summary>Name of one of the servers.</summary>
        public string Name => first.Name;

        public static async Task<Pair> StartAsync(IReadOnlyList<string> words, int delivered, Answer then, bool restartsWhenProbed = false)
        {
            var probed = restartsWhenProbed ? (Answer)SmallModel.RestartAsync : SmallModel.AnswerAsync;
            var dead = 0;
            Answer answer = exchange => Interlocked.Exchange(ref dead, 1) == 0 ? Answers.Cut([.. words.Take(delivered)])(exchange) : then(exchange);
            var first = new ScriptedServer(answer) { GenerateForGateway = probed };
            var second = new ScriptedServer(answer) { GenerateForGateway = probed };
            return new Pair(first, second, await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(), first, second));
        }

        public async ValueTask DisposeAsync()
        {
            await Gateway.DisposeAsync();
            await first.DisposeAsync();
            await second.DisposeAsync();
        }
    }
}
