using Google.Protobuf;
using Microsoft.Extensions.Time.Testing;
using Skein.Engines.OpenAiCompatible;
using Skein.Engines.Tests.Embedded;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>How a new model is tried: when, by which requests, and what it is then said to be able to.</summary>
public sealed class ModelTrialTests : IDisposable
{
    private const string Models = "/v1/models";
    private const string Chats = "/v1/chat/completions";
    private readonly FakeTimeProvider _time = new();
    private readonly string _directory = Directory.CreateTempSubdirectory("skein-tests-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    /// <summary>A server that is too busy for the first question is served, and asked again.</summary>
    [Theory]
    [InlineData(Fault.EngineBusy)]
    [InlineData(Fault.EngineFailed)]
    public async Task ConnectAsync_ServerIsBusy_IsServedAndTriedAgain(Fault fault)
    {
        var server = Dialogues.Vllm();
        var whole = Dialogues.Vllm();
        server.On("/v1/completions", _ => throw new FaultException(fault, "busy"));
        await using var engine = await ConnectAsync(server);
        Assert.Equal(ResumeTier.None, (await DescriptionAsync(engine)).ResumeTier);
        using var slots = new EngineBackground(engine);
        Assert.Equal(ResumeTier.None, (await DescriptionAsync(engine)).ResumeTier);

        server.On("/v1/completions", Dialogues.VllmCompletion);
        await slots.ChangedAsync(_time);

        Assert.Equal(ResumeTier.Tokens, (await DescriptionAsync(engine)).ResumeTier);
        Assert.Equal(2, slots.Taken);
        await using var other = await ConnectAsync(whole);
        Assert.Equal((await DescriptionAsync(other)).Fingerprint, (await DescriptionAsync(engine)).Fingerprint);
    }

    /// <summary>A server that is slow to generate is served soon after it is ready; what it can do is found out beside its first requests.</summary>
    [Fact]
    public async Task ConnectAsync_ServerGeneratesSlowly_IsServedWithinASecondAndTriedFurther()
    {
        var fast = Dialogues.Vllm();
        using var server = new SlowServer(fast);
        var options = new OpenAiEngineOptions { BaseUrl = new Uri("http://fake.test"), CacheDirectory = _directory };
        var connecting = OpenAiEngineFactory.ConnectAsync(options, _time, () => server, Cancellation);
        await server.Asked.WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, Cancellation);

        _time.Advance(TimeSpan.FromMilliseconds(750));

        await using var engine = await connecting;
        Assert.Equal(ResumeTier.None, (await DescriptionAsync(engine)).ResumeTier);
        server.IsSlow = false;
        using var slots = new EngineBackground(engine);
        await slots.ChangedAsync(_time);
        Assert.Equal(ResumeTier.Tokens, (await DescriptionAsync(engine)).ResumeTier);
    }

    /// <summary>A test of a model that is not in memory would load it, and may push out others.</summary>
    [Fact]
    public async Task RunAsync_OllamaModelIsNotLoaded_IsTriedWhenItHasAnswered()
    {
        var server = Dialogues.Ollama("""{"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}""").On("/api/ps", """{"models":[]}""");
        await using var engine = await ConnectAsync(server);
        using var slots = new EngineBackground(engine);
        var untried = await DescriptionAsync(engine);
        Assert.Equal((ResumeTier.None, "lost answers are made again: it is not proven yet", 0), (untried.ResumeTier, untried.ResumeReason, server.Proofs));

        server.On("/api/ps", """{"models":[{"name":"fake:1b"}]}""");
        Assert.Equal(ResumeTier.None, (await StartAsync(engine, Chat("fake:1b"))).ResumeTier);
        await slots.ChangedAsync(_time);

        Assert.Equal(ResumeTier.Text, (await DescriptionAsync(engine)).ResumeTier);
        Assert.Equal(ResumeTier.Text, (await StartAsync(engine, Chat("fake:1b"))).ResumeTier);
    }

    /// <summary>A list of several models may be that of a proxy that loads them when they are needed, or that charges for each answer.</summary>
    [Fact]
    public async Task RunAsync_SeveralModels_OnlyTheUsedOneIsTried()
    {
        var server = new FakeServer().On(Models, List("a", "b"))
            .On(Chats, _ => ["""{"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}""", "[DONE]"]);
        await using var engine = await ConnectAsync(server);
        using var slots = new EngineBackground(engine);

        await StartAsync(engine, Chat("b"));
        await slots.ChangedAsync(_time);

        var tiers = (await engine.DescribeAsync(Cancellation)).Models.Select(model => model.ResumeTier);
        Assert.Equal([ResumeTier.None, ResumeTier.Text], tiers);
        Assert.Equal(1, slots.Taken);
    }

    [Fact]
    public async Task ConnectAsync_ServerStartsAnew_IsNoneAndSaysWhy()
    {
        var server = new FakeServer { ContinuesTexts = false }.On(Models, List("a")).On(Chats, _ =>
            [.. "It was a dark and stormy night in the middle of winter".Split(' ').Select(word => $$$"""{"choices":[{"delta":{"content":"{{{word}}} "}}]}"""),
                """{"choices":[{"delta":{},"finish_reason":"stop"}]}""", "[DONE]"]);
        await using var engine = await ConnectAsync(server);

        var model = await DescriptionAsync(engine);

        Assert.Equal(ResumeTier.None, model.ResumeTier);
        Assert.StartsWith("lost chats are made again: it starts anew instead of continuing an answer; ", model.ResumeReason, StringComparison.Ordinal);
        Assert.Equal(ResumeTier.None, (await StartAsync(engine, Chat("a"))).ResumeTier);
    }

    [Fact]
    public async Task ConnectAsync_ChatOnly_IsServedByText()
    {
        var server = Dialogues.Vllm().On("/v1/completions", _ => throw new FaultException(Fault.Unsupported, "404"));
        await using var engine = await ConnectAsync(server.On(Chats, """{"choices":[]}"""));

        var model = await DescriptionAsync(engine);

        Assert.Equal((ResumeTier.Text, true, false), (model.ResumeTier, model.Chat, model.NoGeneration));
    }

    [Fact]
    public async Task ConnectAsync_EmbeddingsOnly_IsServedAndRefusesChats()
    {
        var server = Dialogues.Vllm().On("/v1/completions", _ => throw new FaultException(Fault.InvalidRequest, "does not support Completions API"));
        await using var engine = await ConnectAsync(server);

        var model = await DescriptionAsync(engine);
        var refusal = await Assert.ThrowsAsync<FaultException>(() => Transcript.Of(engine, Chat("fake"), Cancellation));

        Assert.Equal((true, false), (model.NoGeneration, model.Chat));
        Assert.Equal((Fault.Unsupported, 400), (refusal.Fault, refusal.Fault.ToClientError().Http));
        Assert.Contains("model 'fake' does not generate text", refusal.Message, StringComparison.Ordinal);
    }

    /// <summary>A server that says so is not asked to generate.</summary>
    [Theory]
    [InlineData("sglang")]
    [InlineData("ollama")]
    public async Task ConnectAsync_SaysItOnlyEmbeds_IsNotProbedByGenerating(string kind)
    {
        var server = kind == "sglang"
            ? Dialogues.SgLang(isIncremental: false).On("/get_model_info", """{"model_path":"m","is_generation":false}""")
            : Dialogues.Ollama().On("/api/show", """{"capabilities":["embedding"]}""");
        await using var engine = await ConnectAsync(server);

        Assert.True((await DescriptionAsync(engine)).NoGeneration);
        Assert.DoesNotContain(server.Asked, asked => asked.Path is "/generate" or Chats);
    }

    private static string List(params string[] names) =>
        $"{{\"object\":\"list\",\"data\":[{string.Join(',', names.Select(name => $"{{\"id\":\"{name}\",\"owned_by\":\"library\"}}"))}]}}";

    private static GenerateRequest Chat(string model) =>
        new() { Model = model, Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8("""[{"role":"user","content":"Hi"}]""") } };

    private static async Task<Start> StartAsync(IInferenceEngine engine, GenerateRequest request)
    {
        var frames = new List<GenerateFrame>();
        await foreach (var frame in engine.GenerateAsync(request, Cancellation))
        {
            frames.Add(frame);
        }

        return frames[0].Start;
    }

    private static async Task<ModelDescription> DescriptionAsync(IInferenceEngine engine) => Assert.Single((await engine.DescribeAsync(Cancellation)).Models);

    private Task<IInferenceEngine> ConnectAsync(FakeServer server, Func<OpenAiEngineOptions, OpenAiEngineOptions>? change = null)
    {
        var options = new OpenAiEngineOptions { BaseUrl = new Uri("http://fake.test"), CacheDirectory = _directory };
        return OpenAiEngineFactory.ConnectAsync(change?.Invoke(options) ?? options, _time, () => server, Cancellation);
    }

    /// <summary>Does not answer what generates, while it is slow.</summary>
    private sealed class SlowServer(HttpMessageHandler server) : DelegatingHandler(server)
    {
        private readonly TaskCompletionSource _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Asked => _asked.Task;

        public bool IsSlow { get; set; } = true;

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            if (!IsSlow || request.RequestUri!.AbsolutePath != "/v1/completions")
                return base.SendAsync(request, cancellationToken);

            _asked.TrySetResult();
            return new TaskCompletionSource<HttpResponseMessage>().Task.WaitAsync(cancellationToken);
        }
    }
}
