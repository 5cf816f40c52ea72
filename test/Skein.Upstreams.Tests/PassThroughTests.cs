using System.Text;
using Skein.Gateway.Group;
using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>Calls that are not generation reach a server that serves the model, and its answer the client, byte for byte.</summary>
public sealed class PassThroughTests
{
    private const string Embeddings =
        """{"object":"list", "data":[{"object":"embedding","index":0,"embedding":[0.25,-1.50]}],"model":"story","usage":{"prompt_tokens":2,"total_tokens":2}}""";

    private const string Question = """{"input":"a b", "model":"story","encoding_format":"base64"}""";

    [Fact]
    public async Task EmbeddingOnlyServer_PassesThroughAndIsNotAskedToGenerate()
    {
        await using var server = new ScriptedServer(Answers.Error(400, "this model does not support chat"));
        server.GenerateForGateway = server.Generate;
        server.On("/v1/embeddings", Answers.Json(Embeddings));
        await using var gateway = await TestGateway.StartWithUrlsAsync(server);

        var reply = await gateway.PostAsync("/v1/embeddings", Question);

        Expect.That(reply, reply.Status == 200 && reply.Body == Embeddings && reply.IsComplete, "the answer is the server's, byte for byte");
        Expect.That(reply, reply.Header("Content-Type") == "application/json" && reply.Header("x-skein-attempts") == "1", "headers say what and who answered");
        Assert.Equal(Question, Single(server, "/v1/embeddings").Body);
    }

    [Theory]
    [InlineData("/v1/rerank")]
    [InlineData("/tokenize")]
    [InlineData("/v1/score")]
    [InlineData("/v1/audio/speech")]
    public async Task KnownPaths_ArePassedThrough(string path)
    {
        await using var server = new ScriptedServer().On(path, Answers.Json("\0\u0001bytes", type: "audio/mpeg"));
        await using var gateway = await TestGateway.StartAsync(server);

        var reply = await gateway.PostAsync(path, Question);

        Expect.That(reply, reply.Body == "\0\u0001bytes" && reply.Header("Content-Type") == "audio/mpeg", "the answer is the server's");
    }

    /// <summary>The client's key, cookies, hop-by-hop headers and compression wishes concern the gateway.</summary>
    [Fact]
    public async Task Headers_OfTheClient_DoNotReachTheServer()
    {
        await using var server = new ScriptedServer().On("/v1/embeddings", Answers.Json(Embeddings, headers: "Set-Cookie: a=b\r\nServer: secret\r\n"));
        await using var gateway = await TestGateway.StartAsync(server);

        var reply = await gateway.PostAsync(
            "/v1/embeddings?api_key=sk-0&truncate=1&Access_Token=sk-3", Question,
            "Authorization: Bearer sk-1\r\nx-api-key: sk-2\r\nCookie: c=d\r\nTE: trailers\r\nProxy-Authorization: Basic x\r\nAccept-Encoding: gzip\r\n"
            + "Forwarded: for=1.2.3.4\r\nAccept: application/json\r\nx-request-id: mine-1\r\n");

        var request = Single(server, "/v1/embeddings?truncate=1");
        Assert.Equal(
            ["accept", "content-length", "content-type", "host", "x-request-id"],
            request.Headers.Select(header => header.Name.ToLowerInvariant()).Where(name => name != "traceparent").Order(StringComparer.Ordinal));
        Assert.Equal(("application/json", "mine-1"), (request.Header("Accept"), request.Header("x-request-id")));
        Expect.That(reply, reply.Header("Set-Cookie") is null && reply.Header("Server") is null, "headers of the server stay behind the gateway");
    }

    [Fact]
    public async Task LostBeforeItsAnswer_IsAskedElsewhere()
    {
        await using var broken = new ScriptedServer().On("/v1/embeddings", Answers.Reset);
        await using var busy = new ScriptedServer().On("/v1/embeddings", Answers.Error(503, "loading"));
        await using var good = new ScriptedServer().On("/v1/embeddings", Answers.Json(Embeddings));
        await using var gateway = await TestGateway.StartAsync(broken, busy, good);

        for (var i = 0; i < 6; i++)
        {
            var reply = await gateway.PostAsync("/v1/embeddings", Question);
            Expect.That(reply, reply.Status == 200 && reply.Body == Embeddings, "a server that can answers");
        }
        Assert.True(broken.Calls("/v1/embeddings") + busy.Calls("/v1/embeddings") > 0, "the others were never asked");
    }

    /// <summary>Of several servers of a model only some may have a call.</summary>
    [Fact]
    public async Task ServerWithoutTheCall_AnotherIsAsked_AndWhereNoneHasItTheAnswerSaysSo()
    {
        await using var without = new ScriptedServer();
        await using var with = new ScriptedServer().On("/v1/rerank", Answers.Json("{}"));
        await using var gateway = await TestGateway.StartAsync(without, with);

        for (var i = 0; i < 4; i++)
        {
            var reply = await gateway.PostAsync("/v1/rerank", Question);
            Expect.That(reply, reply.Status == 200, "the server that has the call answers");
        }
        Expect.Refusal(await gateway.PostAsync("/v1/score", Question), 404, "Not Found");
    }

    [Fact]
    public async Task LostDuringItsAnswer_FailsTheResponse()
    {
        await using var server = new ScriptedServer().On("/v1/embeddings", async exchange =>
        {
            await exchange.SendAsync("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"data\":");
            return Ending.Close;
        });
        await using var gateway = await TestGateway.StartAsync(server);

        var reply = await gateway.PostAsync("/v1/embeddings", Question);

        Expect.That(reply, reply.Status == 200 && !reply.IsComplete, "a part of an answer does not look like a whole one");
    }

    [Fact]
    public async Task ErrorOfTheEngine_IsToldInItsWords()
    {
        await using var server = new ScriptedServer().On(
            "/v1/embeddings", Answers.Json("""{"error":{"message":"input is too long","type":"BadRequestError","param":"input","code":400}}""", 400));
        await using var gateway = await TestGateway.StartAsync(server);

        var reply = await gateway.PostAsync("/v1/embeddings", Question);

        Expect.Refusal(reply, 400, "input is too long");
        Assert.Equal("input", reply.Error!.Value.GetProperty("param").GetString());
        Assert.Equal(1, server.Calls("/v1/embeddings"));
    }

    [Fact]
    public async Task ClientThatLeaves_FreesTheSlotAndStopsTheCall()
    {
        await using var server = new ScriptedServer().On("/v1/embeddings", async exchange =>
        {
            await exchange.UntilAsync(new TaskCompletionSource().Task);
            return Ending.Close;
        });
        await using var gateway = await TestGateway.StartAsync(server);
        using (await gateway.OpenAsync("/v1/embeddings", Question))
            await server.WhenAsync(request => request.Path == "/v1/embeddings");

        await server.WhenAbortedAsync();
        await gateway.WhenIdleAsync(server.Name);
    }

    /// <summary>A call waits for a slot as a generation does.</summary>
    [Fact]
    public async Task ServerWithoutAFreeSlot_TheCallWaits()
    {
        var gate = new TaskCompletionSource();
        await using var server = new ScriptedServer(async exchange =>
        {
            await exchange.UntilAsync(gate.Task);
            return await Answers.Words("x")(exchange);
        });
        server.On("/v1/embeddings", Answers.Json(Embeddings));
        await using var gateway = await TestGateway.StartAsync(new TestGateway.Setup { Slots = 1 }, server);
        using var running = await gateway.OpenChatAsync();
        await server.WhenAskedAsync(1);

        using var waiting = await gateway.OpenAsync("/v1/embeddings", Question);
        var models = await gateway.GetAsync("/v1/models");
        Expect.That(models, server.Calls("/v1/embeddings") == 0, "the call waits while the only slot is in use");
        gate.SetResult();

        Assert.Equal(200, (await waiting.EndAsync()).Status);
    }

    [Fact]
    public async Task Form_ReachesTheServerByteForByte()
    {
        const string Form = "--b1\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n\u0001\0RIFF\r\n--b1\r\n"
            + "Content-Disposition: form-data; name=\"model\"\r\n\r\nstory\r\n--b1--\r\n";
        await using var server = new ScriptedServer().On("/v1/audio/transcriptions", Answers.Json("""{"text":"hi"}"""));
        await using var gateway = await TestGateway.StartAsync(server);

        var reply = await gateway.PostAsync("/v1/audio/transcriptions", Form, "Content-Type: multipart/form-data; boundary=b1\r\n");

        Expect.That(reply, reply.Status == 200, "the status is 200");
        var request = Single(server, "/v1/audio/transcriptions");
        Assert.Equal((Form, "multipart/form-data; boundary=b1"), (request.Body, request.Header("Content-Type")));
    }

    [Fact]
    public async Task Alias_EachServerSeesItsOwnNameAndTheClientItsAlias()
    {
        const string Form = "--b1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nbig\r\n--b1--\r\n";
        await using var server = new ScriptedServer();
        server.On("/v1/embeddings", Answers.Json(Embeddings)).On("/v1/audio/transcriptions", Answers.Json("""{"text":"hi"}"""));
        await using var gateway = await TestGateway.StartAsync(Aliased("big", "story"), server);

        var reply = await gateway.PostAsync("/v1/embeddings", """{"input":"a b", "model":"big"}""");
        var form = await gateway.PostAsync("/v1/audio/transcriptions", Form, "Content-Type: multipart/form-data; boundary=b1\r\n");
        var chat = await gateway.PostAsync("/v1/chat/completions", AsBig(Requests.Chat("")));

        Assert.Equal(Embeddings.Replace("\"story\"", "\"big\"", StringComparison.Ordinal), reply.Body);
        Assert.Equal("""{"input":"a b", "model":"story"}""", Single(server, "/v1/embeddings").Body);
        Expect.That(form, form.Status == 200, "the status is 200");
        Assert.Equal(Form.Replace("big", "story", StringComparison.Ordinal), Single(server, "/v1/audio/transcriptions").Body);
        Expect.Answer(chat, SmallModel.Text);
        Assert.Equal("big", chat.Json.GetProperty("model").GetString());
        Assert.Equal("story", server.Asked.Single().Json.GetProperty("model").GetString());
    }

    /// <summary>Servers that name one model differently continue each other's answers.</summary>
    [Fact]
    public async Task AliasOfTwoModels_FailsOverBetweenThem()
    {
        await using var first = new ScriptedServer();
        await using var second = new ScriptedServer();
        second.On("/v1/models", Answers.Json("""{"object":"list","data":[{"id":"story:8b","object":"model","owned_by":"test"}]}"""));
        await using var gateway = await TestGateway.StartAsync(Aliased("big", "story", "story:8b"), first, second);
        first.Generate = second.Generate = async exchange =>
        {
            if (exchange.Request.Delivered.Length > 0)
                return await SmallModel.AnswerAsync(exchange);
            await exchange.StreamAsync();
            await exchange.TextAsync(SmallModel.Text[..4]);
            return Ending.Close;
        };

        var reply = await gateway.PostAsync("/v1/chat/completions", AsBig(Requests.Chat("\"stream\":true")));

        Expect.Answer(reply, SmallModel.Text);
        Assert.All(reply.Chunks, chunk => Assert.Equal("big", chunk.GetProperty("model").GetString()));
        Assert.All(first.Asked, request => Assert.Equal("story", request.Json.GetProperty("model").GetString()));
        Assert.All(second.Asked, request => Assert.Equal("story:8b", request.Json.GetProperty("model").GetString()));
        var models = await gateway.GetAsync("/v1/models");
        Assert.Equal(["big", "story", "story:8b"], models.Json.GetProperty("data").EnumerateArray().Select(model => model.GetProperty("id").GetString()));
    }

    [Fact]
    public async Task PathThatAdministersAServer_IsNotServedAndCannotBeConfigured()
    {
        await using var server = new ScriptedServer().On("/sleep", Answers.Json("{}"));
        await using var gateway = await TestGateway.StartAsync(server);

        Expect.Refusal(await gateway.PostAsync("/sleep", "{}"), 404, "/sleep: no such path");
        Assert.Equal(0, server.Calls("/sleep"));
        await Assert.ThrowsAsync<ArgumentException>(() => TestGateway.StartAsync(PassingThrough("/v1/load_lora_adapter"), server));
    }

    [Fact]
    public async Task ConfiguredPath_IsPassedThroughForGetToo()
    {
        await using var server = new ScriptedServer().On("/v1/voices?a=%20&model=story", Answers.Json("[]"));
        var setup = new TestGateway.Setup
        {
            Options = options => options with { Aliases = [new ModelAlias("big", ["story"])], Api = options.Api with { PassThrough = ["/v1/voices"] } },
        };
        await using var gateway = await TestGateway.StartAsync(setup, server);

        var reply = await gateway.GetAsync("/v1/voices?a=%20&model=big");

        Expect.That(reply, reply is { Status: 200, Body: "[]" }, "the answer is the server's");
    }

    [Fact]
    public async Task UnknownModel_Is404WithoutACall()
    {
        await using var server = new ScriptedServer().On("/v1/embeddings", Answers.Json(Embeddings));
        await using var gateway = await TestGateway.StartAsync(server);

        Expect.Refusal(await gateway.PostAsync("/v1/embeddings", """{"model":"other","input":"a"}"""), 404, "other");
        Assert.Equal(0, server.Calls("/v1/embeddings"));
    }

    private static ScriptedRequest Single(ScriptedServer server, string path) => server.Requests.Single(request => request.Path == path);

    private static string AsBig(string request) => request.Replace("\"model\":\"story\"", "\"model\":\"big\"", StringComparison.Ordinal);

    private static TestGateway.Setup Aliased(string alias, params string[] models) =>
        new() { Options = options => options with { Aliases = [new ModelAlias(alias, models)] } };

    private static TestGateway.Setup PassingThrough(string path) =>
        new() { Options = options => options with { Api = options.Api with { PassThrough = [path] } } };
}
