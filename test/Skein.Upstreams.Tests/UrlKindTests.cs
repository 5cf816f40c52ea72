using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>A URL is enough: what the server is, is found out.</summary>
public sealed class UrlKindTests
{
    /// <summary>"Slots is missing", and requests waited 30 s for "no live replica".</summary>
    [Fact]
    public async Task OpenAi_IsServed()
    {
        await using var server = new ScriptedServer();
        await using var gateway = await TestGateway.StartWithUrlsAsync(server);

        Expect.Answer(await gateway.ChatAsync(), SmallModel.Text);
        Expect.Answer(await gateway.CompleteAsync(""), SmallModel.Text);
    }

    [Fact]
    public async Task Vllm_IsServed()
    {
        await using var server = KnownServers.Vllm();
        await using var gateway = await TestGateway.StartWithUrlsAsync(server);

        Expect.Answer(await gateway.ChatAsync(), SmallModel.Text);
    }

    [Fact]
    public async Task Ollama_IsServedAndNameIsNameLatest()
    {
        await using var server = KnownServers.Ollama();
        await using var gateway = await TestGateway.StartWithUrlsAsync(server);

        foreach (var name in (string[])["tiny:latest", "tiny"])
        {
            var reply = await gateway.PostAsync(
                "/v1/chat/completions", $$"""{"model":"{{name}}","stream":true,"messages":[{"role":"user","content":"{{ScriptedServer.Mark}}"}]}""");
            Expect.Answer(reply, SmallModel.Text);
        }
    }

    /// <summary>Several servers of one model, and one of another kind.</summary>
    [Fact]
    public async Task SeveralUrls_AllAreServed()
    {
        await using var first = new ScriptedServer();
        await using var second = new ScriptedServer();
        await using var third = KnownServers.Vllm();
        await using var gateway = await TestGateway.StartWithUrlsAsync(first, second, third);

        await gateway.WhenServedAsync(first.Name, second.Name, third.Name);
        for (var i = 0; i < 30; i++)
            Expect.Answer(await gateway.ChatAsync(), SmallModel.Text);

        Assert.All((ScriptedServer[])[first, second, third], server => Assert.InRange(server.Generations, 1, 30));
    }

    /// <summary>A server that answers one probe of SGLang's and is something else was refused for ever.</summary>
    [Theory]
    [InlineData("/get_model_info", """{"model_path":"x","is_generation":true}""")]
    [InlineData("/model_info", """{"model_path":"x","is_generation":true}""")]
    [InlineData("/api/version", """{"version":"1.0"}""")]
    [InlineData("/props", """{"default_generation_settings":{},"total_slots":4}""")]
    [InlineData("/props", "{}")]
    [InlineData("/version", """{"version":"0.9"}""")]
    [InlineData("/get_server_info", """{"version":"1.0"}""")]
    public async Task OneProbeFits_OthersDoNot_IsServedAsOpenAi(string path, string body)
    {
        await using var server = new ScriptedServer();
        server.On(path, Answers.Json(body));
        await using var gateway = await TestGateway.StartAsync(new TestGateway.Setup { Awaits = false }, server);

        Expect.Answer(await gateway.ChatAsync(), SmallModel.Text);
    }

    /// <summary>All paths answer 200 with a page, as some proxies do.</summary>
    [Fact]
    public async Task UnknownPathsAnswer200_IsServedAsOpenAi()
    {
        await using var server = new ScriptedServer();
        var page = Answers.Json("<html></html>", type: "text/html");
        foreach (var path in (string[])["/props", "/slots", "/api/version", "/get_model_info", "/model_info", "/version",
            "/metrics", "/tokenize", "/get_server_info"])
            server.On(path, page);
        await using var gateway = await TestGateway.StartAsync(new TestGateway.Setup { Awaits = false }, server);

        Expect.Answer(await gateway.ChatAsync(), SmallModel.Text);
    }

    /// <summary>Chats only: no /v1/completions. The proof of other servers must not need it.</summary>
    [Fact]
    public async Task ChatOnlyServer_IsServed()
    {
        await using var server = new ScriptedServer();
        server.GenerateForGateway = exchange => exchange.Request.IsChat ? SmallModel.AnswerAsync(exchange)
            : Answers.Json("""{"detail":"Not Found"}""", 404)(exchange);
        await using var gateway = await TestGateway.StartWithUrlsAsync(server);

        Expect.Answer(await gateway.ChatAsync(), SmallModel.Text);
    }

    /// <summary>Some services list their models without an object around them.</summary>
    [Fact]
    public async Task ListWithoutAnObject_IsServed()
    {
        await using var server = new ScriptedServer();
        server.On("/v1/models", Answers.Json($$"""[{"id":"{{ScriptedServer.Model}}","object":"model"}]"""));
        await using var gateway = await TestGateway.StartWithUrlsAsync(server);

        Expect.Answer(await gateway.ChatAsync(), SmallModel.Text);
    }

    /// <summary>The first generation is refused: the proof is not the start's condition.</summary>
    [Theory]
    [InlineData(429)]
    [InlineData(503)]
    [InlineData(500)]
    public async Task FirstGenerationsOfTheGatewayFail_IsServed(int status)
    {
        await using var server = new ScriptedServer();
        server.GenerateForGateway = Answers.Error(status, "not now");
        await using var gateway = await TestGateway.StartWithUrlsAsync(server);

        Expect.Answer(await gateway.ChatAsync(), SmallModel.Text);
    }

    /// <summary>A server that only embeds is served by passing through, and is not probed by generating.</summary>
    [Fact(Skip = "not built yet: /v1/embeddings is not passed through")]
    public async Task EmbeddingOnlyServer_PassesThroughAndIsNotAskedToGenerate()
    {
        const string Embeddings = """{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.25,-1.50]}],"model":"story","usage":{"prompt_tokens":2,"total_tokens":2}}""";
        await using var server = new ScriptedServer(Answers.Error(400, "this model does not support chat"));
        server.GenerateForGateway = server.Generate;
        server.On("/v1/embeddings", Answers.Json(Embeddings));
        await using var gateway = await TestGateway.StartWithUrlsAsync(server);

        var reply = await gateway.PostAsync("/v1/embeddings", """{"model":"story","input":"a b"}""");

        Expect.That(reply, reply.Status == 200 && reply.Body == Embeddings, "the answer is the server's, byte for byte");
        Assert.Equal(0, server.OwnGenerations);
        Assert.Equal("""{"model":"story","input":"a b"}""", server.Requests.Single(request => request.Path == "/v1/embeddings").Body);
    }
}
