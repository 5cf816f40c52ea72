using System.Globalization;
using System.Text;
using System.Text.Json;
using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>The verbs that take the URL of a server.</summary>
public sealed class CommandTests
{
    /// <summary>A server without /v1/completions, or one that refuses its first request, ended the replica: "the engine does not answer".</summary>
    [Theory]
    [InlineData("chat only")]
    [InlineData("429")]
    [InlineData("503")]
    [InlineData("500")]
    public async Task Replica_ServerRefusesTheFirstRequest_Starts(string server)
    {
        await using var engine = new ScriptedServer();
        var first = 0;
        engine.GenerateForGateway = exchange => server == "chat only"
            ? exchange.Request.IsChat ? SmallModel.AnswerAsync(exchange) : Answers.Json("""{"detail":"Not Found"}""", 404)(exchange)
            : Interlocked.Exchange(ref first, 1) == 0 ? Answers.Error(int.Parse(server), "not now")(exchange)
            : SmallModel.AnswerAsync(exchange);
        await using var replica = SkeinCommand.Start(
            "replica", "--name", "r", "--engine", engine.Url.ToString(), "--slots", "4", "--grpc", "0", "--gossip", "0");

        await replica.LineAsync("r is up");
    }

    /// <summary>A replica beside a server that starts later, as a sidecar does, ended at once.</summary>
    [Fact]
    public async Task Replica_ServerDoesNotListenYet_WaitsForItAndSaysSo()
    {
        await using var engine = new ScriptedServer();
        await engine.KillAsync();
        await using var replica = SkeinCommand.Start(
            "replica", "--name", "r", "--engine", engine.Url.ToString(), "--slots", "4", "--grpc", "0", "--gossip", "0");
        var said = await replica.LineAsync("waiting for the engine");

        engine.Restart();

        await replica.LineAsync("r is up");
        Assert.Contains(engine.Name, said, StringComparison.Ordinal);
    }

    /// <summary>One URL became three replicas: 24 requests on 8 slots.</summary>
    [Fact]
    public async Task Up_OneEngineUrl_IsOneReplica()
    {
        await using var engine = new ScriptedServer();
        await using var up = SkeinCommand.Start("up", "--engine", engine.Url.ToString(), "--slots", "8", "--port", "0");
        var banner = await up.LineAsync("Skein is up");

        Assert.Equal(1, CountReplicas(await GetAsync(banner, "/admin/v1/members")));
    }

    [Fact]
    public async Task Up_TwoEngineUrls_AreTwoReplicas()
    {
        await using var first = new ScriptedServer();
        await using var second = new ScriptedServer();
        await using var up = SkeinCommand.Start("up", "--engine", first.Url.ToString(), "--engine", second.Url.ToString(), "--slots", "8", "--port", "0");
        var banner = await up.LineAsync("Skein is up");

        Assert.Equal(2, CountReplicas(await GetAsync(banner, "/admin/v1/members")));
    }

    /// <summary>The exit code tells a script whether a server keeps what its tier promises.</summary>
    [Theory]
    [InlineData(true, 0)]
    [InlineData(false, 1)]
    public async Task EnginesCheck_ServerSaysItIsExact_ExitsWith1IfItIsNot(bool isHonest, int code)
    {
        await using var engine = VllmServer.Start(SmallModel.Words, parsesReasoning: false);
        var (honest, other) = (engine.GenerateForGateway, new TokenModel([.. SmallModel.Words.Select(word => word.ToUpperInvariant())]));
        engine.GenerateForGateway = exchange => IsLongContinuation(exchange.Request) && !isHonest
            ? VllmServer.GenerateAsync(exchange, other, reasoning: null, dies: null)
            : honest(exchange);
        await using var check = SkeinCommand.Start("engines", "check", engine.Url.ToString(), "--answers", "3", "--bit-exact", "--json");

        var ended = await check.EndAsync(60);

        Assert.True(ended == code, check.Output);
        Assert.Equal(!isHonest, check.Output.Contains("otherwise", StringComparison.Ordinal));
    }

    // The proof at connect time asks for fewer tokens.
    private static bool IsLongContinuation(ScriptedRequest request) =>
        request.Path == "/v1/completions" && request.Json.GetProperty("prompt").ValueKind == JsonValueKind.Array
        && request.Json.TryGetProperty("max_tokens", out var most) && most.GetInt32() > 20;

    /// <summary>A gateway with nothing but a URL: its start says what it serves.</summary>
    [Fact]
    public async Task Gateway_UrlAlone_ServesAndSaysWhat()
    {
        await using var engine = new ScriptedServer();
        await using var gateway = SkeinCommand.Start(
            "gateway", "--name", "g", "--http", "0", "--grpc", "0", "--gossip", "0", "--upstream", engine.Url.ToString());
        var banner = await gateway.LineAsync("g is up");

        var reply = await PostAsync(banner, "/v1/chat/completions", Requests.Chat("\"stream\":true"));

        Expect.Answer(reply, SmallModel.Text);
        foreach (var word in (string[])[engine.Name, "openai", ScriptedServer.Model, "slots"])
            Assert.Contains(word, gateway.Output, StringComparison.Ordinal);
    }

    /// <summary>Each upstream in skein.json has its own url, name, model, aliases, key file, headers, slots and weight.</summary>
    [Fact]
    public async Task Gateway_UpstreamsInSkeinJson_EachHasItsOwnSettings()
    {
        await using var engine = new ScriptedServer();
        engine.On("/v1/models", Answers.Json("""{"object":"list","data":[{"id":"story","object":"model"},{"id":"other","object":"model"}]}"""));
        var folder = Directory.CreateTempSubdirectory("skein-upstreams");
        try
        {
            var key = Path.Combine(folder.FullName, "key");
            var config = Path.Combine(folder.FullName, "skein.json");
            await File.WriteAllTextAsync(key, "secret-1\n");
            await File.WriteAllTextAsync(config,
                $$"""
                {"upstreams":[{"url":"{{engine.Url}}","name":"big","model":"story","aliases":["tale"],
                    "keyFile":{{Events.Quote(key)}},"headers":{"x-team":"blue"},"slots":5,"weight":2}]}
                """);
            await using var gateway = SkeinCommand.Start("gateway", "--name", "g", "--http", "0", "--grpc", "0", "--gossip", "0", "--config", config);
            var banner = await gateway.LineAsync("g is up");

            var reply = await PostAsync(
                banner, "/v1/chat/completions",
                    Requests.Chat("\"stream\":true").Replace("\"model\":\"story\"", "\"model\":\"tale\"", StringComparison.Ordinal));
            var members = await GetAsync(banner, "/admin/v1/members");

            Expect.Answer(reply, SmallModel.Text);
            var asked = Assert.Single(engine.Asked);
            Assert.Equal(("Bearer secret-1", "blue", "story"),
                (asked.Header("Authorization"), asked.Header("x-team"), asked.Json.GetProperty("model").GetString()));
            var row = members.EnumerateArray().Single(row => row.GetProperty("name").GetString() == "big");
            Assert.Equal(5, row.GetProperty("slots").GetInt32());
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>The error of a proxy that the environment sets looked like the server's.</summary>
    [Fact]
    public async Task Gateway_ProxyOfTheEnvironmentRefuses_ReasonNamesTheProxy()
    {
        await using var proxy = new ScriptedServer { Everything = Answers.Json("<html>Forbidden</html>", 403, type: "text/html") };
        await using var gateway = SkeinCommand.Start(
            new Dictionary<string, string?> { ["http_proxy"] = proxy.Url.ToString(), ["HTTP_PROXY"] = proxy.Url.ToString(), ["no_proxy"] = null, ["NO_PROXY"] = null },
            "gateway", "--name", "g", "--http", "0", "--grpc", "0", "--gossip", "0", "--upstream", "http://192.0.2.7:8000");

        var line = await gateway.LineAsync("192.0.2.7:8000 is not served");

        Assert.Contains($"(through the proxy {proxy.Name}) answers 403", line, StringComparison.Ordinal);
    }

    private static int CountReplicas(JsonElement members) => members.EnumerateArray().Count(row => row.GetProperty("role").GetString() == "replica");

    private static async Task<JsonElement> GetAsync(string banner, string path)
    {
        using var call = await Call.OpenAsync(PortOf(banner), $"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        return (await call.EndAsync()).Json;
    }

    private static async Task<Reply> PostAsync(string banner, string path, string json)
    {
        using var call = await Call.OpenAsync(
            PortOf(banner),
            $"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {Encoding.UTF8.GetByteCount(json)}\r\n\r\n{json}");
        return await call.EndAsync(40);
    }

    // "… HTTP on http://127.0.0.1:1234, gRPC on …" or "…:1234/v1, …".
    private static int PortOf(string banner)
    {
        var address = banner.Split("HTTP on http://")[1].Split('/', ',')[0];
        return int.Parse(address.Split(':')[1], CultureInfo.InvariantCulture);
    }
}
