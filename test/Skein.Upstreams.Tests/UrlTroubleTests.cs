using System.Diagnostics;
using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>A URL that cannot be served: the reason is told at once.</summary>
public sealed class UrlTroubleTests
{
    [Fact]
    public async Task ModelNeverLoads_ErrorSaysThatItIsLoading()
    {
        await using var server = new ScriptedServer { Everything = Answers.Error(503, "Loading model") };
        server.On("/v1/models", server.Everything).On("/health", server.Everything);
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(2_000) with { Slots = null, Awaits = false }, server);

        var reply = await gateway.ChatAsync();

        Expect.Refusal(reply, 503, "loading");
        Expect.That(reply, reply.Header("Retry-After") is not null, "there is a Retry-After");
    }

    /// <summary>A wrong key showed as "dead" without a reason, and cost each request 30 s.</summary>
    [Theory]
    [InlineData(401, """{"error":"Unauthorized"}""")]
    [InlineData(403, """{"error":{"message":"no","code":403}}""")]
    public async Task KeyIsRefused_IsSaidAtOnceInErrorStatusAndLog(int status, string body)
    {
        await using var server = new ScriptedServer { Everything = Answers.Json(body, status) };
        server.On("/v1/models", server.Everything).On("/health", server.Everything);
        await using var gateway = await TestGateway.StartAsync(new TestGateway.Setup { Awaits = false }, server);
        await server.WhenAsync(_ => true);

        var reply = await gateway.ChatAsync();
        var row = await gateway.StatusAsync(server.Name);

        Expect.Refusal(reply, 502, "key");
        Expect.Within(reply, 2);
        Assert.Contains("key", Reply.Find(row, "reason")?.GetString(), StringComparison.Ordinal);
        Assert.Contains(gateway.Log.With(server.Name), line => line.Message.Contains("key", StringComparison.Ordinal));
    }

    /// <summary>The port of the URL is another server's: it was said that nothing answers.</summary>
    [Fact]
    public async Task PortIsNoHttpServers_IsSaidAtOnceInErrorStatusAndLog()
    {
        await using var server = new ScriptedServer { Everything = NotHttp };
        server.On("/v1/models", NotHttp).On("/health", NotHttp);
        await using var gateway = await TestGateway.StartAsync(new TestGateway.Setup { Awaits = false }, server);
        await server.WhenAsync(_ => true);

        var reply = await gateway.ChatAsync();
        var row = await gateway.StatusAsync(server.Name);

        Expect.Refusal(reply, 503, "does not answer in HTTP");
        Expect.Within(reply, 2);
        Assert.Contains("does not answer in HTTP", Reply.Find(row, "reason")?.GetString(), StringComparison.Ordinal);
        Assert.Contains(gateway.Log.With(server.Name), line => line.Message.Contains("does not answer in HTTP", StringComparison.Ordinal));

        static async Task<Ending> NotHttp(Exchange exchange)
        {
            await exchange.SendAsync("SSH-2.0-OpenSSH_9.6\r\n");
            return Ending.Close;
        }
    }

    /// <summary>The URL has a wrong path: nothing there lists models.</summary>
    [Fact]
    public async Task PathIsWrong_IsSaidAtOnceInErrorStatusAndLog()
    {
        await using var server = new ScriptedServer();
        await using var gateway = await TestGateway.StartAsync(new TestGateway.Setup { Awaits = false }, [new Uri(server.Url, "/wrong")]);
        await server.WhenAsync(_ => true);

        var reply = await gateway.ChatAsync();
        var row = await gateway.StatusAsync(server.Name);

        Expect.That(reply, reply.Status is 502 or 503, "the status is 502 or 503");
        Expect.That(reply, reply.ErrorMessage.Contains("/v1/models", StringComparison.Ordinal), "the error names what is missing");
        Expect.Within(reply, 2);
        Assert.Contains("/v1/models", Reply.Find(row, "reason")?.GetString(), StringComparison.Ordinal);
        Assert.Contains(gateway.Log.With(server.Name), line => line.Message.Contains("/v1/models", StringComparison.Ordinal));
    }

    /// <summary>These were told as "fails", "does not answer" or "An error occurred while sending the request".</summary>
    [Theory]
    [InlineData("redirect", "redirects to another address")]
    [InlineData("web page", "does not answer /v1/models as expected")]
    [InlineData("other JSON", "does not answer /v1/models as expected")]
    [InlineData("HTTPS wanted", "http or https")]
    [InlineData("no key", "refuses requests without a key")]
    public async Task OperatorMustAct_CauseIsSaidAtOnceInErrorStatusAndLog(string server, string cause)
    {
        await using var scripted = OtherServer(server);
        await using var gateway = await TestGateway.StartAsync(new TestGateway.Setup { Awaits = false }, scripted);
        await scripted.WhenAsync(_ => true);

        var reply = await gateway.ChatAsync();

        Expect.Refusal(reply, server == "no key" ? 502 : 503, cause);
        Expect.Within(reply, 2);
        await ExpectToldAsync(gateway, scripted, cause);
    }

    /// <summary>What may pass by itself is waited for. The error, the status and the log name the cause all the same.</summary>
    [Theory]
    [InlineData("empty list", "lists no models")]
    [InlineData("list is null", "lists no models")]
    [InlineData("proxy", "answers with status 502")]
    [InlineData("closes", "closes connections without an answer")]
    [InlineData("resets", "closes connections without an answer")]
    public async Task MayPass_CauseIsToldAfterTheWait(string server, string cause)
    {
        await using var scripted = OtherServer(server);
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(500) with { Awaits = false }, scripted);
        await scripted.WhenAsync(_ => true);

        Expect.Refusal(await gateway.ChatAsync(), 503, cause);
        await ExpectToldAsync(gateway, scripted, cause);
    }

    /// <summary>A server that accepts connections and says nothing was not mentioned for 30 s.</summary>
    [Fact]
    public async Task ServerSaysNothing_IsToldWhileItIsWaitedFor()
    {
        await using var server = new ScriptedServer { Everything = Silent };
        server.On("/v1/models", Silent).On("/health", Silent);
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(300) with { Awaits = false }, server);

        var began = Stopwatch.GetTimestamp();
        while (!gateway.Log.With(server.Name).Any() && Stopwatch.GetElapsedTime(began) < TimeSpan.FromSeconds(20))
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, TestContext.Current.CancellationToken);

        Expect.Refusal(await gateway.ChatAsync(), 503, "has not answered for 6 s");
        await ExpectToldAsync(gateway, server, "has not answered for 6 s");

        static async Task<Ending> Silent(Exchange exchange)
        {
            await exchange.UntilAsync(exchange.Left);
            return Ending.Close;
        }
    }

    /// <summary>The log lines of several servers named none of them.</summary>
    [Fact]
    public async Task OneOfTwoFails_LogLineNamesIt()
    {
        await using var good = new ScriptedServer();
        await using var failing = new ScriptedServer(Answers.Json("<html>Bad Gateway</html>", 502, type: "text/html"));
        await using var gateway = await TestGateway.StartAsync(good, failing);

        for (var i = 0; i < 60 && failing.Generations == 0; i++)
            Expect.Answer(await gateway.ChatAsync(), SmallModel.Text);

        var line = Assert.Single(gateway.Log.With("failed in request"));
        Assert.Contains($"The openai engine {failing.Name} failed in request", line.Message, StringComparison.Ordinal);
        Assert.Contains("502 at /v1/chat/completions", line.Message, StringComparison.Ordinal);
    }

    /// <summary>A web page with status 200 was told as a stream that ended early.</summary>
    [Fact]
    public async Task GenerationAnswersWithAWebPage_ErrorNamesItsType()
    {
        await using var server = new ScriptedServer(Answers.Json("<html>chat with us</html>", type: "text/html"));
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(), server);

        Expect.Refusal(await gateway.ChatAsync(), 502, "text/html instead of an event stream");
    }

    /// <summary>All upstreams are meant for known models, and one is down: a request for another model waited 30 s for it.</summary>
    [Fact]
    public async Task ModelIsNoUpstreams_IsNotFoundAtOnce()
    {
        await using var server = new ScriptedServer();
        await server.KillAsync();
        await using var gateway = await TestGateway.StartAsync(
            new TestGateway.Setup { Awaits = false, Server = options => options with { Model = "story" } }, server);

        var reply = await gateway.PostAsync("/v1/chat/completions", """{"model":"tale","messages":[{"role":"user","content":"a"}]}""");

        Expect.Refusal(reply, 404, "tale");
        Expect.Within(reply, 2);
    }

    private static async Task ExpectToldAsync(TestGateway gateway, ScriptedServer server, string cause)
    {
        Assert.Contains(cause, Reply.Find(await gateway.StatusAsync(server.Name), "reason")?.GetString(), StringComparison.Ordinal);
        Assert.Contains(gateway.Log.With(server.Name), line => line.Message.Contains(cause, StringComparison.Ordinal));
    }

    private static ScriptedServer OtherServer(string kind)
    {
        var everything = kind switch
        {
            "redirect" => Answers.Json("", 301, "Location: https://127.0.0.1/v1/models\r\n"),
            "web page" => Answers.Json("<html>chat with us</html>", type: "text/html"),
            "other JSON" => Answers.Json("""{"status":"ok"}"""),
            "HTTPS wanted" => Answers.Json("<html>The plain HTTP request was sent to HTTPS port</html>", 400, type: "text/html"),
            "no key" => Answers.Json("""{"error":"Unauthorized"}""", 401),
            "list is null" => Answers.Json("""{"object":"list","data":null}"""),
            "empty list" => KnownServers.Models(),
            "proxy" => Answers.Json("<html>Bad Gateway</html>", 502, type: "text/html"),
            "resets" => Answers.Reset,
            _ => _ => Task.FromResult(Ending.Close),
        };
        return new ScriptedServer { Everything = everything }.On("/v1/models", everything).On("/health", everything);
    }
}
