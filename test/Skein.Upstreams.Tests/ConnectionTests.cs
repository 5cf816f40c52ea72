using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>Connections to servers.</summary>
public sealed class ConnectionTests
{
    private static readonly Answer Short = Answers.Words("a ", "b ");

    /// <summary>A server that closes after each answer and does not say so, as Python's http.server: 21 of 800 were lost.</summary>
    [Theory]
    [InlineData(8)]
    [InlineData(64)]
    public async Task ServerClosesAfterEachAnswerUnannounced_NoneIsLost(int clients)
    {
        await using var server = new ScriptedServer(async exchange =>
        {
            await Short(exchange);
            return Ending.Close;
        });
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits() with { Slots = 256 }, server);

        var lost = await LoadAsync(gateway, clients, 800);

        Assert.Empty(lost);
        Assert.Equal(800, server.Generations);
    }

    /// <summary>The server closes the connection when the next request is on its way: nothing was answered, so it is sent again.</summary>
    [Fact]
    public async Task ServerClosesAReusedConnectionInsteadOfAnswering_NoneIsLost()
    {
        await using var server = new ScriptedServer();
        server.Generate = exchange => exchange.Request.NumberOnConnection > 0 ? Task.FromResult(Ending.Close) : Short(exchange);
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(), server);

        for (var i = 0; i < 50; i++)
            Expect.Answer(await gateway.ChatAsync(), "a b ");
    }

    /// <summary>As above, with a reset.</summary>
    [Fact]
    public async Task ServerResetsAReusedConnection_NoneIsLost()
    {
        await using var server = new ScriptedServer();
        server.Generate = exchange => exchange.Request.NumberOnConnection > 0 ? Task.FromResult(Ending.Reset) : Short(exchange);
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(), server);

        for (var i = 0; i < 50; i++)
            Expect.Answer(await gateway.ChatAsync(), "a b ");
    }

    /// <summary>llama.cpp closes idle connections after 5 s.</summary>
    [Fact]
    public async Task ServerClosesIdleConnections_NextRequestIsAnswered()
    {
        await using var server = new ScriptedServer(Short);
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(), server);

        for (var i = 0; i < 50; i++)
        {
            Expect.Answer(await gateway.ChatAsync(), "a b ");
            server.CloseIdle();
        }
        Assert.Equal(50, server.Generations);
    }

    [Fact]
    public async Task ServerKeepsConnections_TheyAreReused()
    {
        await using var server = new ScriptedServer(Short);
        await using var gateway = await TestGateway.StartAsync(server);
        var before = server.Connections;

        for (var i = 0; i < 50; i++)
            Expect.Answer(await gateway.ChatAsync(), "a b ");

        Assert.InRange(server.Connections - before, 0, 5);
    }

    /// <summary>There was no x-request-id, and one trace id for all requests of all clients.</summary>
    [Fact]
    public async Task RequestIdAndTrace_AreTheClients()
    {
        await using var server = new ScriptedServer(Short);
        await using var gateway = await TestGateway.StartAsync(server);
        const string Trace = "0af7651916cd43dd8448eb211c80319c";

        await gateway.ChatAsync(headers: $"x-request-id: req-17\r\ntraceparent: 00-{Trace}-b7ad6b7169203331-01\r\n");
        await gateway.ChatAsync();
        await gateway.ChatAsync();

        var asked = server.Asked;
        Assert.Equal("req-17", asked[0].Header("x-request-id"));
        var parts = asked[0].Header("traceparent")?.Split('-');
        Assert.Equal([Trace, "01"], parts is [_, var trace, _, var flags] ? [trace, flags] : []);
        Assert.NotNull(asked[1].Header("x-request-id"));
        Assert.Equal(3, asked.Select(request => request.Header("x-request-id")).Distinct().Count());
        Assert.Equal(3, asked.Select(request => request.Header("traceparent")?.Split('-')[1] ?? $"none {request.Number}").Distinct().Count());
    }

    /// <summary>Credentials and connection headers of clients never reach servers.</summary>
    [Fact]
    public async Task ClientsCredentials_DoNotReachTheServer()
    {
        await using var server = new ScriptedServer(Short);
        await using var gateway = await TestGateway.StartAsync(server);

        await gateway.ChatAsync(headers: "Authorization: Bearer client\r\nx-api-key: client\r\nCookie: a=client\r\nTE: trailers\r\n");

        Assert.DoesNotContain(server.Asked.Single().Headers, header => header.Value.Contains("client", StringComparison.Ordinal) || header.Name == "TE");
    }

    /// <summary>Health questions never wait behind generation and cost no token.</summary>
    [Fact]
    public async Task AllSlotsAreBusy_HealthIsAskedAndCostsNoToken()
    {
        var gate = new Gate();
        await using var server = new ScriptedServer(gate.Between("a ", "b "));
        await using var gateway = await TestGateway.StartAsync(new TestGateway.Setup { Slots = 2 }, server);
        var own = server.OwnGenerations;
        var calls = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => gateway.OpenChatAsync()));
        await server.WhenAskedAsync(2);
        var asked = server.Requests.Count;

        await server.WhenAsync(request => request.Method == "GET" && server.Requests.Count > asked + 1);
        gate.Open();

        foreach (var call in calls)
            Expect.Answer(await call.EndAsync(), "a b ");
        Assert.Equal(own, server.OwnGenerations);
        foreach (var call in calls)
            call.Dispose();
    }

    /// <summary>SGLang's /health makes a token and takes a second, and /metrics is not there: it was asked hundreds of times.</summary>
    [Fact]
    public async Task SgLang_ReadyIsAskedInsteadOfHealth()
    {
        await using var dialogues = new DialogueServer("sglang-0.5.23");
        var server = dialogues.Server;
        await using var gateway = await TestGateway.StartAsync(new TestGateway.Setup { Awaits = false }, server);
        await server.WhenAsync(request => request.Path == "/v1/models");

        await Task.Delay(TimeSpan.FromSeconds(5), TimeProvider.System, TestContext.Current.CancellationToken);

        Assert.InRange(server.Calls("/ready"), 1, 100);
        Assert.Equal(0, server.Calls("/health") + server.Calls("/health_generate"));
        Assert.InRange(server.Calls("/metrics"), 0, 3);
        Assert.InRange(server.Requests.Count(request => request.Path.StartsWith("/v1/loads", StringComparison.Ordinal)), 1, 1_000);
    }

    /// <summary>Requests that wait in a server, of other gateways too, count in the pick.</summary>
    [Theory]
    [InlineData("vllm:num_requests_waiting{engine=\"0\"} 20\nvllm:num_requests_running{engine=\"0\"} 8\n", "vllm:num_requests_waiting{engine=\"0\"} 0\n")]
    [InlineData("vllm:kv_cache_usage_perc{engine=\"0\"} 0.99\nvllm:num_requests_waiting{engine=\"0\"} 0\n",
        "vllm:kv_cache_usage_perc{engine=\"0\"} 0.05\nvllm:num_requests_waiting{engine=\"0\"} 0\n")]
    public async Task OneServerHasAQueue_OtherGetsTheRequests(string full, string free)
    {
        await using var busy = Vllm(full);
        await using var idle = Vllm(free);
        await using var gateway = await TestGateway.StartAsync(busy, idle);
        await busy.WhenAsync(request => request.Path == "/metrics");
        await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System, TestContext.Current.CancellationToken);

        for (var i = 0; i < 40; i++)
            Expect.Answer(await gateway.ChatAsync(), "a b ");

        Assert.InRange(busy.Generations, 0, 4);

        static ScriptedServer Vllm(string metrics) => new ScriptedServer(Short)
            .On("/version", Answers.Json("""{"version":"0.32.0"}"""))
            .On("/v1/models",
                Answers.Json($$"""{"object":"list","data":[{"id":"{{ScriptedServer.Model}}","object":"model","owned_by":"vllm","max_model_len":512}]}"""))
            .On("/metrics", Answers.Json(metrics, type: "text/plain; version=0.0.4"));
    }

    /// <summary>Sends requests from some clients at a time.</summary>
    /// <returns>The answers that are wrong.</returns>
    private static async Task<IReadOnlyList<string>> LoadAsync(TestGateway gateway, int clients, int requests)
    {
        var next = 0;
        var wrong = new System.Collections.Concurrent.ConcurrentQueue<string>();
        await Task.WhenAll(Enumerable.Range(0, clients).Select(async _ =>
        {
            while (Interlocked.Increment(ref next) <= requests)
            {
                var reply = await gateway.ChatAsync(seconds: 30);
                if (reply.Text != "a b " || !reply.IsDone)
                    wrong.Enqueue(reply.ToString());
            }
        }));
        return [.. wrong];
    }
}
