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
}
