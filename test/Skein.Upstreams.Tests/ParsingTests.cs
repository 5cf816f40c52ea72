using System.Text;
using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>Event streams as real servers write them.</summary>
public sealed class ParsingTests
{
    private const int MiB = 1 << 20;

    private static readonly string A = Events.Text(true, "a ");
    private static readonly string B = Events.Text(true, "b ");
    private static readonly string Stop = Events.Finish(true);

    /// <summary>400 MB of a line without an end were taken in and held.</summary>
    [Theory]
    [InlineData("line")]
    [InlineData("data lines")]
    public async Task EventWithoutAnEnd_IsAFaultThatNamesTheSize(string kind)
    {
        var part = kind == "line" ? new string('x', 64 << 10) : string.Concat(Enumerable.Repeat("data: x\n", 8 << 10));
        var most = 0L;
        await using var server = new ScriptedServer(async exchange =>
        {
            await exchange.StreamAsync();
            await exchange.TextAsync("a ");
            if (kind == "line")
                await exchange.ChunkAsync("data: ");
            while (!exchange.Left.IsCompleted && exchange.Written < 32 * MiB)
            {
                await exchange.ChunkAsync(part);
                most = Math.Max(most, exchange.Written);
            }
            return Ending.Close;
        });
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(), server);

        var reply = await gateway.ChatAsync(seconds: 35);

        Expect.Error(reply);
        Expect.That(reply, reply.ErrorMessage.Contains("1 MiB", StringComparison.Ordinal) || reply.ErrorMessage.Contains("1048576", StringComparison.Ordinal),
            "the error names the bound of 1 MiB");
        Assert.Contains(gateway.Log.All, line => line.Message.Contains("MiB", StringComparison.Ordinal)
            || line.Message.Contains("1048576", StringComparison.Ordinal));
        // Socket buffers take some, too.
        Assert.InRange(most, 0, 12 * MiB);
    }

    [Fact]
    public async Task EventJustBelowOneMebibyte_Passes()
    {
        var text = new string('x', MiB - 1024);
        await using var server = new ScriptedServer(Answers.Stream(Events.Text(true, text), Stop, "[DONE]"));
        await using var gateway = await TestGateway.StartAsync(
            new TestGateway.Setup { Options = options => options with { Streaming = options.Streaming with { JournalBytes = 4 * MiB } } }, server);

        var reply = await gateway.ChatAsync();

        Assert.Equal((200, text.Length, true), (reply.Status, reply.Text.Length, reply.IsDone));
    }

    public static TheoryData<string, string> Tolerated { get; } = new()
    {
        { "[DONE] with a blank", $"data: {A}\n\ndata: {B}\n\ndata: {Stop}\n\ndata: [DONE] \n\n" },
        { "empty data", $"data: {A}\n\ndata:\n\ndata: {B}\n\ndata: \n\ndata: {Stop}\n\ndata: [DONE]\n\n" },
        { "empty error", $"data: {WithError("\"\"", A)}\n\ndata: {WithError("null", B)}\n\ndata: {Stop}\n\ndata: [DONE]\n\n" },
        { "no blank after the colon", $"data:{A}\n\ndata:{B}\n\ndata:{Stop}\n\ndata:[DONE]\n\n" },
        { "CRLF", $"data: {A}\r\n\r\ndata: {B}\r\n\r\ndata: {Stop}\r\n\r\ndata: [DONE]\r\n\r\n" },
        { "lone CR", $"data: {A}\r\rdata: {B}\r\rdata: {Stop}\r\rdata: [DONE]\r\r" },
        { "BOM", $"\uFEFFdata: {A}\n\ndata: {B}\n\ndata: {Stop}\n\ndata: [DONE]\n\n" },
        { "data in two lines", $"data: {A}\n\ndata: {TwoLines(B)}\n\ndata: {Stop}\n\ndata: [DONE]\n\n" },
        { "comments, ids, retry and event names", $": hello\n\nid: 1\nevent: message\nretry: 10\ndata: {A}\n\n:\ndata: {B}\n\nnonsense\n\ndata: {Stop}\n\ndata: [DONE]\n\n" },
        { "another event name", $"event: completion\ndata: {A}\n\nevent: completion\ndata: {B}\n\ndata: {Stop}\n\ndata: [DONE]\n\n" },
        { "no blank line at the end", $"data: {A}\n\ndata: {B}\n\ndata: {Stop}\n\ndata: [DONE]\n" },
        { "choices empty or missing", $$"""data: {"id":"x","choices":[]}{{"\n\n"}}data: {"id":"x"}{{"\n\n"}}data: {{A}}{{"\n\n"}}data: {{B}}{{"\n\n"}}data: {{Stop}}{{"\n\n"}}data: [DONE]{{"\n\n"}}""" },
    };

    [Theory]
    [MemberData(nameof(Tolerated))]
    public async Task UnusualButReadable_IsRead(string what, string body)
    {
        await using var server = new ScriptedServer(Answers.Body(body));
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(2_000), server);

        var reply = await gateway.ChatAsync();

        Expect.Answer(reply, "a b ");
        Assert.True(server.Generations == 1, $"{what}: asked {server.Generations} times");
    }

    /// <summary>Bytes of one character in two segments.</summary>
    [Fact]
    public async Task EverySegmentIsOneByte_IsRead()
    {
        var body = $"data: {Events.Text(true, "é漢🎉 ")}\n\ndata: {B}\n\ndata: {Stop}\n\ndata: [DONE]\n\n";
        await using var server = new ScriptedServer(async exchange =>
        {
            await exchange.SendAsync($"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n");
            foreach (var value in Encoding.UTF8.GetBytes(body))
                await exchange.SendBytesAsync([value]);
            return Ending.KeepAlive;
        });
        await using var gateway = await TestGateway.StartAsync(server);

        Expect.Answer(await gateway.ChatAsync(), "é漢🎉 b ");
    }

    /// <summary>An error whose only sign is the event's name: its data are its words.</summary>
    [Theory]
    [InlineData("event: error\ndata: {\"message\":\"the cache is full\"}\n\n")]
    [InlineData("event: error\ndata: {\"code\":500,\"detail\":\"the cache is full\"}\n\n")]
    [InlineData("event: error\ndata: the cache is full\n\n")]
    [InlineData("data: {\"object\":\"error\",\"message\":\"the cache is full\",\"type\":\"x\",\"code\":500}\n\n")]
    [InlineData("data: {\"error\":\"the cache is full\"}\n\n")]
    public async Task ErrorEventInAnyShape_ItsWordsAreTold(string body)
    {
        await using var server = new ScriptedServer(Answers.Body(body));
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(2_000), server);

        var reply = await gateway.ChatAsync();

        Expect.Error(reply);
        Expect.That(reply, reply.ErrorMessage.Contains("the cache is full", StringComparison.Ordinal), "the error has the engine's words");
    }

    /// <summary>What is not JSON is a fault, told as what it is.</summary>
    [Theory]
    [InlineData("\"stream\":true")]
    [InlineData("")]
    public async Task EventThatIsNoJson_IsAnErrorOfTheEngineNotOfTheGateway(string members)
    {
        await using var server = new ScriptedServer(Answers.Body($"data: {A}\n\ndata: {{\"choices\":[{{\"delta\":\n\n"));
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(2_000), server);

        var reply = await gateway.ChatAsync(members);

        Expect.Error(reply);
        Expect.That(reply, reply.Status is 200 or 502, "the status is 502");
        Expect.That(reply, reply.Error?.GetProperty("code").ToString() != "internal_error", "the code is not internal_error");
        Expect.That(reply, reply.ErrorMessage.Contains("JSON", StringComparison.Ordinal), "the error says that it was no JSON");
        Assert.DoesNotContain(gateway.Log.All, line => line.Exception is not null);
    }

    /// <summary>A delta that is no JSON object made a whole answer a 500 of the gateway.</summary>
    [Theory]
    [InlineData("{\"choices\":[{\"index\":0,\"delta\":\"a\"}]}")]
    [InlineData("{\"choices\":[{\"index\":0,\"delta\":[1]}]}")]
    [InlineData("{\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":{\"a\":1},\"content\":7}}]}")]
    [InlineData("{\"choices\":\"a\"}")]
    [InlineData("[1]")]
    [InlineData("7")]
    public async Task BadDeltaInAWholeAnswer_OtherServerAnswers(string bad)
    {
        var first = 0;
        Answer answer = exchange => Interlocked.Exchange(ref first, 1) == 0 ? Answers.Stream(bad, Stop, "[DONE]")(exchange) : SmallModel.AnswerAsync(exchange);
        await using var one = new ScriptedServer(answer);
        await using var two = new ScriptedServer(answer);
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(2_000), one, two);

        var reply = await gateway.ChatAsync("");

        Expect.That(reply, reply.Status is 200 or 502, "the answer is made elsewhere, or 502");
        if (reply.Status == 200)
            Expect.Answer(reply, SmallModel.Text);
    }

    /// <summary>Content as parts, and message for delta, became a 200 without a text.</summary>
    [Theory]
    [InlineData("""{"delta":{"content":[{"type":"text","text":"a "}]}}""")]
    [InlineData("""{"message":{"role":"assistant","content":"a "}}""")]
    public async Task TextInAnotherShape_IsRead(string choice)
    {
        var first = choice.Insert(1, "\"index\":0,");
        await using var server = new ScriptedServer(
            Answers.Stream(Events.Chunk(first), Events.Chunk(first.Replace("a ", "b ", StringComparison.Ordinal)), Stop, "[DONE]"));
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(2_000), server);

        var reply = await gateway.ChatAsync();
        var whole = await gateway.ChatAsync("");

        Expect.Answer(reply, "a b ");
        Expect.Answer(whole, "a b ");
    }

    /// <summary>A server that ignores "stream" and answers whole.</summary>
    [Theory]
    [InlineData("\"stream\":true,\"stream_options\":{\"include_usage\":true}")]
    [InlineData("")]
    public async Task WholeAnswerToAStreamedRequest_IsRead(string members)
    {
        await using var server = new ScriptedServer(Answers.Json(
            """
            {
              "id": "x",
              "object": "chat.completion",
              "choices": [{"index":0,"message":{"role":"assistant","content":"a b "},"finish_reason":"stop"}],
              "usage": {"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}
            }

            """));
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(2_000), server);

        var reply = await gateway.ChatAsync(members);

        Expect.Answer(reply, "a b ");
        Assert.Equal(3, reply.Usage?.GetProperty("total_tokens").GetInt32());
    }

    /// <summary>A whole answer has no bound of one event, but one of its own.</summary>
    [Theory]
    [InlineData(2 << 20, true)]
    [InlineData(33 << 20, false)]
    public async Task WholeAnswerToAStreamedRequest_IsBounded(int bytes, bool isRead)
    {
        await using var server = new ScriptedServer(Answers.Json(
            $$$"""{"choices":[{"index":0,"message":{"content":"a "},"finish_reason":"stop"}],"padding":[{{{new string(' ', bytes)}}}]}"""));
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(2_000), server);

        var reply = await gateway.ChatAsync("", "x-skein-failover: never\r\n");

        if (isRead)
            Expect.Answer(reply, "a ");
        else
            Expect.Refusal(reply, 502, "allowed: up to 33554432 bytes");
    }

    /// <summary>An error as a whole answer with status 200: its words were lost.</summary>
    [Theory]
    [InlineData("""{"error":{"message":"tools are not enabled","type":"x","param":"tools","code":400}}""", 400)]
    [InlineData("""{"error":"tools are not enabled"}""", 500)]
    public async Task ErrorWithStatus200_ItsWordsAreTold(string body, int status)
    {
        await using var server = new ScriptedServer(Answers.Json(body));
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(2_000), server);

        Expect.Refusal(await gateway.ChatAsync(), status, "tools are not enabled");
    }

    private static string WithError(string error, string json) => $"{json[..^1]},\"error\":{error}}}";

    // A line break in data is white space between the members.
    private static string TwoLines(string json) => json.Insert(1, "\ndata: ");
}
