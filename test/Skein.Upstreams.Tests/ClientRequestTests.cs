using System.Text.Json;
using Skein.Engines.Embedded;
using Skein.Upstreams.Tests.Clients;
using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>What load tools and Python's clients send, which do not run here, is answered by the embedded engine and by an upstream.</summary>
public sealed class ClientRequestTests(ClientRequestTests.BothGateways gateways) : IClassFixture<ClientRequestTests.BothGateways>
{
    /// <summary>Members that change the answer, or that a benchmark relies on.</summary>
    private static readonly string[] Passed = ["ignore_eos", "min_tokens", "repetition_penalty", "parallel_tool_calls", "temperature", "top_p", "seed", "user"];

    public static TheoryData<string> Clients { get; } = [.. ClientRequest.All.Select(request => request.Client)];

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task Embedded_AnswersOrRefusesByName(string client)
    {
        var request = Find(client);

        var reply = await gateways.Embedded.PostAsync(request.Path, BodyFor(request, "tiny-storyteller"));

        if (request.RefusedParam is { } param)
        {
            Expect.That(reply, reply.Status == 400, "it is refused");
            Assert.Equal((param, "unsupported_parameter"), (reply.Error!.Value.GetProperty("param").GetString(), reply.Error!.Value.GetProperty("code").GetString()));
            return;
        }

        AssertAnswered(request, reply);
        if (request.Tokens is { } tokens && reply.Usage is { } usage)
            Assert.Equal(tokens, usage.GetProperty("completion_tokens").GetInt32());
    }

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task Upstream_GetsWhatTheClientSaid(string client)
    {
        var request = Find(client);
        var body = BodyFor(request, ScriptedServer.Model);
        var before = gateways.Server.Asked.Count;

        var reply = await gateways.Upstream.PostAsync(request.Path, body);

        AssertAnswered(request, reply);
        var sent = gateways.Server.Asked.Skip(before).ToList();
        Assert.Equal(request.Choices, sent.Count);
        foreach (var member in JsonElement.Parse(body).EnumerateObject().Where(member => Passed.Contains(member.Name) && member.Value.ValueKind != JsonValueKind.Null))
        {
            // Without tools, engines refuse it.
            if (member.Name == "parallel_tool_calls" && sent[0].Json.TryGetProperty("tools", out _) is false)
                continue;
            Assert.Equal(member.Value.GetRawText(), Reply.Find(sent[0].Json, member.Name)?.GetRawText());
        }
    }

    /// <summary>guidellm asks before it starts.</summary>
    [Fact]
    public async Task ServerQuestions_AreAnswered()
    {
        foreach (var gateway in new[] { gateways.Embedded, gateways.Upstream })
        {
            Assert.Equal(200, (await gateway.GetAsync("/health")).Status);
            Assert.Single((await gateway.GetAsync("/v1/models")).Json.GetProperty("data").EnumerateArray());
        }
    }

    /// <summary>LangChain sends ids and asks for base64.</summary>
    [Fact]
    public async Task Embeddings_ArePassedOnOrRefusedWithACode()
    {
        const string Body = """{"input":[[1,2,3]],"model":"MODEL","encoding_format":"base64"}""";

        var passed = await gateways.Upstream.PostAsync("/v1/embeddings", Body.Replace("MODEL", ScriptedServer.Model, StringComparison.Ordinal));
        var refused = await gateways.Embedded.PostAsync("/v1/embeddings", Body.Replace("MODEL", "tiny-storyteller", StringComparison.Ordinal));

        Assert.Equal((200, BothGateways.Embeddings), (passed.Status, passed.Body));
        Assert.Equal((400, "unsupported"), (refused.Status, refused.Error!.Value.GetProperty("code").GetString()));
        Assert.Contains("the embedded engine does not serve /v1/embeddings", refused.ErrorMessage, StringComparison.Ordinal);
    }

    private static ClientRequest Find(string client) => ClientRequest.All.Single(request => request.Client == client);

    private static string BodyFor(ClientRequest request, string model) => request.Body.Replace("MODEL", model, StringComparison.Ordinal);

    private static void AssertAnswered(ClientRequest request, Reply reply)
    {
        var asked = JsonElement.Parse(request.Body);
        var isStream = Reply.Find(asked, "stream") is { ValueKind: JsonValueKind.True };
        Expect.That(reply, reply.Status == 200 && reply.IsStream == isStream && reply.Error is not { ValueKind: JsonValueKind.Object }, "it is answered");
        Expect.That(reply, isStream || reply.IsComplete, "the answer is whole");
        switch (request.Path)
        {
            case "/v1/responses":
                var response = isStream ? reply.Chunks[^1].GetProperty("response") : reply.Json;
                Assert.Contains(response.GetProperty("status").GetString(), (string[])["completed", "incomplete"]);
                Assert.NotEqual("", response.GetProperty("output")[0].GetProperty("content")[0].GetProperty("text").GetString());
                break;
            case "/v1/messages":
                Assert.Equal("message_stop", reply.Chunks[^1].GetProperty("type").GetString());
                break;
            default:
                Expect.That(reply, !isStream || reply.IsDone, "the stream ends with [DONE]");
                Expect.That(reply, reply.FinishReasons.Count == request.Choices, "every choice has a finish reason");
                for (var choice = 0; choice < request.Choices; choice++)
                    Expect.That(reply, reply.TextOfChoice(choice).Length > 0, $"choice {choice} has a text");
                var wantsUsage = !isStream || Reply.Find(asked, "stream_options") is not null;
                Expect.That(reply, !wantsUsage || reply.Usage is not null, "the usage is told");
                break;
        }
    }

    /// <summary>The embedded engine and a scripted server, each behind a gateway.</summary>
    public sealed class BothGateways : IAsyncLifetime
    {
        internal const string Embeddings = """{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPw=="}]}""";

        internal ScriptedServer Server { get; } = new ScriptedServer().On("/v1/embeddings", Answers.Json(Embeddings));

        internal TestGateway Embedded { get; private set; } = null!;

        internal TestGateway Upstream { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            Embedded = await TestGateway.StartAsync(() => EmbeddedEngineFactory.Load(new EmbeddedEngineOptions { TokensPerSecond = 0 }, TimeProvider.System));
            Upstream = await TestGateway.StartAsync(Server);
        }

        public async ValueTask DisposeAsync()
        {
            await Embedded.DisposeAsync();
            await Upstream.DisposeAsync();
            await Server.DisposeAsync();
        }
    }
}
