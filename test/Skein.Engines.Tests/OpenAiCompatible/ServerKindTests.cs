using System.Net;
using Skein.Engines.OpenAiCompatible;
using Skein.Protocol;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>A kind is believed only if two signs agree; any other server is <c>openai</c> and served all the same.</summary>
public class ServerKindTests
{
    private const string Props = """{"total_slots":4,"default_generation_settings":{"n_ctx":64},"chat_template":""}""";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("llama.cpp", "llamacpp", "/props", Props, null, null)]
    [InlineData("llama.cpp", "other", "/props", Props, "/health", """{"status":"ok"}""")]
    [InlineData("openai", "other", "/props", Props, null, null)]
    [InlineData("ollama", "library", "/api/version", """{"version":"0.13.5"}""", "/api/tags", """{"models":[]}""")]
    [InlineData("ollama", "library", "/api/version", """{"version":"0.13.5"}""", "/", "Ollama is running")]
    [InlineData("openai", "library", "/api/version", """{"version":"0.13.5"}""", null, null)]
    [InlineData("sglang", "sglang", "/model_info", """{"model_path":"m"}""", null, null)]
    [InlineData("sglang", "other", "/get_model_info", """{"model_path":"m"}""", "/", "\"SGLang is running\"")]
    [InlineData("openai", "other", "/get_model_info", """{"model_path":"m"}""", null, null)]
    [InlineData("vllm", "vllm", "/version", """{"version":"0.32.0"}""", null, null)]
    [InlineData("vllm", "other", "/version", """{"version":"0.32.0"}""", "/metrics", "# TYPE x gauge\nvllm:num_requests_waiting 0\n")]
    [InlineData("openai", "other", "/version", """{"version":"0.32.0"}""", "/metrics", "# TYPE x gauge\nother 0\n")]
    [InlineData("openai", "vllm", "/nothing", "{}", null, null)]
    public async Task ConnectAsync_SignsOfTheServer_DecideItsKind(string kind, string owner, string path, string answer, string? other, string? otherAnswer)
    {
        var server = Of(owner).On(path, answer);
        if (other is not null)
        {
            server.On(other, otherAnswer!);
        }

        await using var engine = await server.ConnectAsync();

        Assert.Equal(kind, engine.Kind);
        Assert.Equal("m", Assert.Single((await engine.DescribeAsync(Cancellation)).Models).Name);
    }

    [Theory]
    [InlineData("sglang", "/model_info has no model_path")]
    [InlineData("vllm", "/version has no version")]
    [InlineData("ollama", "/api/version has no version")]
    [InlineData("llama.cpp", "/props has no total_slots")]
    public async Task ConnectAsync_DeclaredKindDoesNotAnswer_NamesTheFlag(string kind, string missing)
    {
        var exception = await Assert.ThrowsAsync<FaultException>(() => Of("other").ConnectAsync(options => options with { Kind = kind }));

        Assert.Equal(Fault.Unsupported, exception.Fault);
        Assert.Contains($"is not of the kind {kind}, which --engine-kind declares: {missing}", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ConnectAsync_DeclaredKind_OneSignIsEnough()
    {
        await using var engine = await Of("other").On("/version", """{"version":"1"}""").ConnectAsync(options => options with { Kind = "vllm" });

        Assert.Equal("vllm", engine.Kind);
    }

    /// <summary>The next request of llama-cpp-python ends the one before.</summary>
    [Theory]
    [InlineData("me", 1)]
    [InlineData("other", null)]
    public async Task ConnectAsync_OpenAi_SlotsAreOneOrUnknown(string owner, int? slots)
    {
        await using var engine = await Of(owner).ConnectAsync(options => options with { Slots = null });

        Assert.Equal(slots, (await engine.DescribeAsync(Cancellation)).Slots);
    }

    [Theory]
    [InlineData(404, Fault.Unsupported, "answers 404 at /v1/models; its URL needs another path")]
    [InlineData(401, Fault.EngineKeyRefused, "answers 401")]
    [InlineData(403, Fault.EngineKeyRefused, "answers 403")]
    [InlineData(503, Fault.EngineBusy, "answers 503")]
    [InlineData(429, Fault.EngineBusy, "answers 429")]
    [InlineData(500, Fault.EngineFailed, "answers 500")]
    public async Task ConnectAsync_EveryPathAnswersAnError_SaysWhich(int status, Fault fault, string message)
    {
        using var server = new StatusServer((HttpStatusCode)status);

        var exception = await Assert.ThrowsAsync<FaultException>(() => OpenAiEngineFactory.ConnectAsync(
            new OpenAiEngineOptions { BaseUrl = new Uri("http://fake.test") }, TimeProvider.System, () => server, Cancellation));

        Assert.Equal(fault, exception.Fault);
        Assert.Contains(message, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CheckAsync_SgLang_AsksReadyAndNeverHealthWhichGenerates()
    {
        var server = Dialogues.SgLang(isIncremental: false);
        await using var engine = await server.ConnectAsync();

        await engine.CheckAsync(Cancellation);
        await engine.CheckAsync(Cancellation);

        // This one is an older version without /ready: it is asked once.
        Assert.Single(server.Asked, asked => asked.Path == "/ready");
        Assert.DoesNotContain(server.Asked, asked => asked.Path == "/health");
    }

    [Fact]
    public async Task LoadAsync_SgLang_ReadsItsLoadsOfAllRanks()
    {
        // Recorded of SGLang 0.5.23; shortened, and with a second rank.
        var server = Dialogues.SgLang(isIncremental: false).On(
            "/v1/loads",
            """{"loads":[{"dp_rank":0,"num_running_reqs":8,"num_waiting_reqs":3,"token_usage":0.25},{"dp_rank":1,"num_waiting_reqs":4,"token_usage":0.5}]}""");
        await using var engine = await server.ConnectAsync();

        Assert.Equal(new EngineLoad(500, 7), await engine.LoadAsync(Cancellation));
        Assert.DoesNotContain(server.Asked, asked => asked.Path == "/metrics");
    }

    [Fact]
    public async Task LoadAsync_NoSourceExists_IsNotAskedAgain()
    {
        var server = Of("vllm").On("/version", """{"version":"1"}""");
        await using var engine = await server.ConnectAsync();

        Assert.Equal(EngineLoad.Unknown, await engine.LoadAsync(Cancellation));
        Assert.Equal(EngineLoad.Unknown, await engine.LoadAsync(Cancellation));

        Assert.Single(server.Asked, asked => asked.Path == "/metrics");
    }

    private static FakeServer Of(string owner) =>
        new FakeServer().On("/v1/models", $$"""{"object":"list","data":[{"id":"m","object":"model","owned_by":"{{owner}}"}]}""");

    private sealed class StatusServer(HttpStatusCode status) : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            Task.FromResult(new HttpResponseMessage(status) { Content = new StringContent("""{"error":"no"}""") });
    }
}
