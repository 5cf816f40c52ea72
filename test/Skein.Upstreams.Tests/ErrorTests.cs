using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>Errors of servers, as the client sees them.</summary>
public sealed class ErrorTests
{
    /// <summary>All servers refuse with Retry-After: clients got 502 "2 replicas in a row were lost".</summary>
    [Theory]
    [InlineData(429, 1)]
    [InlineData(429, 2)]
    [InlineData(429, 3)]
    [InlineData(503, 1)]
    [InlineData(503, 2)]
    [InlineData(503, 3)]
    public async Task AllRefuseWithRetryAfter_StatusAndRetryAfterArePassedOn(int status, int count)
    {
        await using var servers = ServerSet.Of(count, Answers.Error(status, "too many requests now", "Retry-After: 7\r\n"));
        await using var gateway = await TestGateway.StartAsync([.. servers]);

        var reply = await gateway.ChatAsync(seconds: 35);

        Expect.Refusal(reply, status, "too many requests now");
        Expect.That(reply, reply.Header("Retry-After") == "7", "Retry-After is 7");
        Expect.Within(reply, 3);
        Assert.InRange(servers.Generations, count, 8);
    }

    /// <summary>A 429 without Retry-After gets a computed one.</summary>
    [Fact]
    public async Task AllRefuseWithoutRetryAfter_OneIsComputed()
    {
        await using var server = new ScriptedServer(Answers.Error(429, "too many requests now"));
        await using var gateway = await TestGateway.StartAsync(server);

        var reply = await gateway.ChatAsync(seconds: 35);

        Expect.Refusal(reply, 429, "too many requests now");
        Expect.That(reply, reply.Header("Retry-After") is not null, "there is a Retry-After");
    }

    /// <summary>Code and param were lost, 422 became 400.</summary>
    [Theory]
    [InlineData(400, "invalid_request_error", "\"temperature\"", "\"decimal_above_max_value\"")]
    [InlineData(422, "invalid_request_error", "\"messages[0]\"", "\"unprocessable\"")]
    [InlineData(413, "invalid_request_error", "null", "\"too_large\"")]
    [InlineData(400, "BadRequestError", "\"top_p\"", "400")]
    [InlineData(402, "billing", "null", "\"no_credit\"")]
    [InlineData(409, "conflict", "null", "null")]
    public async Task RefusalOfTheRequest_StatusTypeParamAndCodeAreKept(int status, string type, string param, string code)
    {
        await using var servers = ServerSet.Of(2, Answers.Json(
            $$$"""{"error":{"message":"the value 3.5 is too high","type":"{{{type}}}","param":{{{param}}},"code":{{{code}}}}}""", status));
        await using var gateway = await TestGateway.StartAsync([.. servers]);

        foreach (var members in (string[])["\"stream\":true", ""])
        {
            var reply = await gateway.ChatAsync(members);
            Expect.Refusal(reply, status, "the value 3.5 is too high");
            var error = reply.Error!.Value;
            Expect.That(reply, error.GetProperty("type").GetRawText() == $"\"{type}\"", $"the type is {type}");
            Expect.That(reply, error.GetProperty("param").GetRawText() == param, $"param is {param}");
            Expect.That(reply, error.GetProperty("code").GetRawText() == code, $"code is {code}");
        }
        Assert.Equal(2, servers.Generations);
    }

    /// <summary>Five servers write errors in five shapes.</summary>
    [Theory]
    [InlineData("""{"object":"error","message":"the value is too high","type":"BadRequestError","param":null,"code":400}""")]
    [InlineData("""{"error":"the value is too high"}""")]
    [InlineData("""{"detail":"the value is too high"}""")]
    [InlineData("""{"detail":[{"loc":["body","n"],"msg":"the value is too high","type":"value_error"}]}""")]
    [InlineData("""{"message":"the value is too high"}""")]
    [InlineData("""{"error":{"code":400,"message":"the value is too high","type":"invalid_request_error"}}""")]
    [InlineData("the value is too high")]
    public async Task RefusalInAnyShape_ItsWordsAreTold(string body)
    {
        await using var server = new ScriptedServer(Answers.Json(body, 400));
        await using var gateway = await TestGateway.StartAsync(server);

        Expect.Refusal(await gateway.ChatAsync(), 400, "the value is too high");
        Assert.Equal(1, server.Generations);
    }

    /// <summary>A wrong key of the gateway looked like a crash.</summary>
    [Theory]
    [InlineData(401, """{"error":"Unauthorized"}""", 1)]
    [InlineData(401, """{"error":{"message":"Invalid API Key","type":"authentication_error","code":401}}""", 2)]
    [InlineData(403, """{"error":{"message":"not allowed","type":"permission_error","code":403}}""", 2)]
    public async Task KeyIsRefused_Is502ThatSaysSo(int status, string body, int count)
    {
        await using var servers = ServerSet.Of(count, Answers.Json(body, status));
        await using var gateway = await TestGateway.StartAsync([.. servers]);

        var reply = await gateway.ChatAsync(seconds: 35);
        var rows = await Task.WhenAll(servers.Select(server => gateway.StatusAsync(server.Name)));

        Expect.Refusal(reply, 502, "key", "refuse");
        Expect.Within(reply, 3);
        Assert.Contains(rows, row => Reply.Find(row, "reason")?.ToString().Contains("key", StringComparison.Ordinal) == true);
        Assert.NotEmpty(gateway.Log.With("key"));
    }

    /// <summary>One server's key is wrong, the other's is right.</summary>
    [Fact]
    public async Task KeyIsRefusedByOneOfTwo_OtherAnswers()
    {
        await using var wrong = new ScriptedServer(Answers.Json("""{"error":"Unauthorized"}""", 401));
        await using var good = new ScriptedServer();
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(), wrong, good);

        for (var i = 0; i < 10; i++)
            Expect.Answer(await gateway.ChatAsync(), SmallModel.Text);
    }

    /// <summary>vLLM refuses a request inside a 200 stream: clients got "2 replicas in a row were lost".</summary>
    [Theory]
    [InlineData("\"stream\":true")]
    [InlineData("")]
    public async Task RefusalInsideA200Stream_IsTheRequestsErrorInTheEnginesWords(string members)
    {
        const string Refusal = """{"error":{"message":"tools are not enabled","type":"BadRequestError","param":"tools","code":400}}""";
        await using var servers = ServerSet.Of(2, Answers.Stream(Refusal, "[DONE]"));
        await using var gateway = await TestGateway.StartAsync([.. servers]);

        var reply = await gateway.ChatAsync(members, seconds: 35);

        Expect.Refusal(reply, 400, "tools are not enabled");
        Expect.That(reply, reply.Error!.Value.GetProperty("param").ToString() == "tools", "param is kept");
        Assert.Equal(1, servers.Generations);
    }

    [Fact]
    public async Task ServerErrorInsideA200Stream_IsTriedOnceElsewhere()
    {
        const string Broken = """{"error":{"message":"the engine core failed","type":"InternalServerError","code":500}}""";
        await using var servers = ServerSet.Of(2, Answers.Stream(Broken, "[DONE]"));
        await using var gateway = await TestGateway.StartAsync([.. servers]);

        var reply = await gateway.ChatAsync(seconds: 35);

        Expect.Refusal(reply, 500, "the engine core failed");
        Assert.Equal((1, 1), (servers[0].Generations, servers[1].Generations));
        Expect.Within(reply, 3);
    }

    /// <summary>A 500 that the request itself causes waited 30 s, and its words were lost.</summary>
    [Theory]
    [InlineData(500)]
    [InlineData(501)]
    public async Task SameServerErrorFromTwo_EndsInTheEnginesWords(int status)
    {
        await using var servers = ServerSet.Of(3, Answers.Error(status, "image input is not supported"));
        await using var gateway = await TestGateway.StartAsync([.. servers]);

        var reply = await gateway.ChatAsync(seconds: 35);

        Expect.Refusal(reply, status, "image input is not supported");
        Assert.Equal(2, servers.Generations);
        Expect.Within(reply, 3);
    }

    /// <summary>A model that one server lacks: another one has it.</summary>
    [Fact]
    public async Task ModelNotFoundOnOne_OtherAnswers()
    {
        await using var lacking = new ScriptedServer(
            Answers.Json("""{"error":{"message":"model 'story' not found","type":"not_found_error","code":404}}""", 404));
        await using var having = new ScriptedServer();
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(), lacking, having);

        for (var i = 0; i < 6; i++)
            Expect.Answer(await gateway.ChatAsync(), SmallModel.Text);
    }

    /// <summary>The server's address was in the error.</summary>
    [Theory]
    [InlineData("fin")]
    [InlineData("reset")]
    [InlineData("garbage")]
    [InlineData("html")]
    public async Task AnyFault_NoAddressIsShown(string fault)
    {
        await using var servers = ServerSet.Of(2, FaultOf(fault));
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(), [.. servers]);

        var reply = await gateway.ChatAsync();

        Expect.Error(reply);
        Expect.NoAddress(reply);
    }

    /// <summary>The header and the failover report had the servers' addresses.</summary>
    [Fact]
    public async Task Failover_HeaderAndReportShowPublicNames()
    {
        var isFirst = 0;
        await using var servers = ServerSet.Of(2, exchange => Interlocked.Exchange(ref isFirst, 1) == 0
            ? Answers.Cut([.. SmallModel.Words.Take(10)])(exchange)
            : SmallModel.AnswerAsync(exchange));
        await using var gateway = await TestGateway.StartAsync([.. servers]);

        var reply = await gateway.ChatAsync();

        Expect.Answer(reply, SmallModel.Text);
        Expect.NoAddress(reply);
        Expect.That(reply, reply.Header("x-skein-replica") is "upstream-1" or "upstream-2", "the header has a public name");
        Expect.That(reply, reply.Body.Contains(": upstream-", StringComparison.Ordinal), "the report has a public name");
        Assert.NotEmpty(gateway.Log.With("left 127.0.0.1:"));
    }

    private static Answer FaultOf(string name) => name switch
    {
        "fin" => _ => Task.FromResult(Ending.Close),
        "reset" => Answers.Reset,
        "html" => Answers.Json("<html><body>502 Bad Gateway</body></html>", 502, type: "text/html"),
        _ => async exchange =>
        {
            await exchange.SendAsync("SSH-2.0-OpenSSH_9.6\r\n");
            return Ending.Close;
        },
    };
}
