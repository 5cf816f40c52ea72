using System.Diagnostics;
using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>A URL is enough: from when on a server is served, and what.</summary>
public sealed class UrlStartTests
{
    /// <summary>Kind, slots, models and tier were in no status row and no log line.</summary>
    [Fact]
    public async Task Start_StatusAndLogNameKindModelSlotsAndTier()
    {
        await using var server = new ScriptedServer();
        await using var gateway = await TestGateway.StartWithUrlsAsync(server);
        await gateway.WhenServedAsync(server.Name);

        Expect.Answer(await gateway.ChatAsync(), SmallModel.Text);
        var row = await gateway.StatusAsync(server.Name);

        Assert.Equal("openai", Reply.Find(row, "kind")?.GetString());
        Assert.InRange(row.GetProperty("slots").GetInt32(), 1, 64);
        Assert.Contains(Reply.Find(row, "tier")?.GetString(), (string?[])["tokens", "text", "none"]);
        Assert.Equal(["story"], row.GetProperty("models").EnumerateArray().Select(model => model.GetString()));
        Assert.Contains(gateway.Log.With(server.Name), line =>
            ((string[])["openai", "story", "slots"]).All(word => line.Message.Contains(word, StringComparison.Ordinal))
            && ((string[])["tokens", "text", "none"]).Any(tier => line.Message.Contains(tier, StringComparison.Ordinal)));
    }

    /// <summary>Models come and go without touching the streams of others. The list is read every 10 s.</summary>
    [Fact]
    public async Task ModelsComeAndGo_StreamsOfOthersGoOn()
    {
        var gate = new Gate();
        await using var server = new ScriptedServer(gate.Between("a ", isHeld: request => request.Number == 0));
        server.On("/v1/models", KnownServers.Models("story", "old"));
        await using var gateway = await TestGateway.StartAsync(server);
        using var call = await gateway.OpenChatAsync();
        await call.UntilAsync("a ");

        server.On("/v1/models", KnownServers.Models("story", "new"));
        var began = Stopwatch.GetTimestamp();
        var names = "";
        while (names != "new story" && Stopwatch.GetElapsedTime(began) < TimeSpan.FromSeconds(14))
        {
            var models = (await gateway.GetAsync("/v1/models")).Json.GetProperty("data").EnumerateArray().Select(model => model.GetProperty("id").GetString());
            names = string.Join(' ', models.Order(StringComparer.Ordinal));
            await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, TestContext.Current.CancellationToken);
        }
        gate.Open();
        var reply = await call.EndAsync();

        Assert.Equal("new story", names);
        Expect.Answer(reply, "a ");
        Assert.Equal(1, server.Generations);
        var created = await gateway.PostAsync("/v1/chat/completions",
            $$"""{"model":"new","stream":true,"messages":[{"role":"user","content":"{{ScriptedServer.Mark}}"}]}""");
        Expect.Answer(created, "a ");
    }

    /// <summary>A server that came up later was taken 7 s after its health turned 200.</summary>
    [Fact]
    public async Task ServerComesUpLater_IsServedByTheNextAttempt()
    {
        await using var server = new ScriptedServer { Everything = Answers.Error(503, "Loading model") };
        server.On("/v1/models", server.Everything).On("/health", server.Everything);
        await using var gateway = await TestGateway.StartAsync(new TestGateway.Setup { Awaits = false }, server);
        // Each attempt begins with this path. Its pause is the same after any number of attempts.
        await server.WhenAsync(_ => server.Calls("/props") >= 12);

        server.On("/v1/models", KnownServers.Models("story")).On("/health", Answers.Json("{}")).Everything = null;
        await gateway.WhenServedAsync(server.Name);

        Assert.InRange(server.Calls("/props"), 12, 15);
    }

    /// <summary>A request for a model that is still loading waits like any other.</summary>
    [Fact]
    public async Task ModelIsStillLoading_RequestWaitsAndIsAnswered()
    {
        await using var server = new ScriptedServer { Everything = Answers.Error(503, "Loading model") };
        server.On("/v1/models", server.Everything).On("/health", server.Everything);
        await using var gateway = await TestGateway.StartAsync(new TestGateway.Setup { Slots = null, Awaits = false }, server);

        var asked = gateway.ChatAsync();
        await server.WhenAsync(_ => server.Requests.Count >= 6);
        server.On("/v1/models", KnownServers.Models("story")).On("/health", Answers.Json("{}")).Everything = null;

        Expect.Answer(await asked, SmallModel.Text);
    }

    /// <summary>A URL that ends in /v1 or has a prefix.</summary>
    [Theory]
    [InlineData("/v1", "")]
    [InlineData("/v1/", "")]
    [InlineData("/models/story", "/models/story")]
    public async Task UrlWithAPath_IsServed(string path, string prefix)
    {
        await using var server = new ScriptedServer();
        server.On(prefix + "/v1/models", KnownServers.Models("story"));
        server.Everything = exchange => exchange.Request.Method == "POST" && exchange.Request.Path == prefix + "/v1/chat/completions"
            ? Answers.Words("a ")(exchange)
            : Answers.Json("{}", 404)(exchange);
        await using var gateway = await TestGateway.StartAsync(new TestGateway.Setup { Awaits = false }, [new Uri(server.Url, path)]);

        var reply = await gateway.ChatAsync();

        Expect.Answer(reply, "a ");
    }

    /// <summary>A server that lists no models is a fault that says so; it is served when there is one.</summary>
    [Fact]
    public async Task NoModelsYet_IsServedWhenThereIsOne()
    {
        await using var server = new ScriptedServer();
        server.On("/v1/models", KnownServers.Models());
        await using var gateway = await TestGateway.StartAsync(new TestGateway.Setup { Slots = null, Awaits = false }, server);
        await server.WhenAsync(request => request.Path == "/v1/models");

        server.On("/v1/models", KnownServers.Models("story"));

        Expect.Answer(await gateway.ChatAsync(), SmallModel.Text);
    }
}
