using System.Text.Json;
using Google.Protobuf;
using Microsoft.Extensions.Time.Testing;
using Skein.Engines.OpenAiCompatible;
using Skein.Engines.OpenAiCompatible.LlamaCpp;
using Skein.Engines.Tests.Embedded;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>What a server serves is read from it, also while it runs.</summary>
public sealed class ModelListTests : IDisposable
{
    private const string Models = "/v1/models";
    private const string Chats = "/v1/chat/completions";
    private readonly FakeTimeProvider _time = new();
    private readonly string _directory = Directory.CreateTempSubdirectory("skein-tests-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task RunAsync_ListChanges_ModelsComeAndGo()
    {
        var server = new FakeServer().On(Models, List("a", "b"));
        await using var engine = await ConnectAsync(server);
        Assert.Equal(["a", "b"], await NamesAsync(engine));
        using var slots = new Slots(engine);

        server.On(Models, List("b", "c"));
        await slots.ChangedAsync(_time);

        Assert.Equal(["b", "c"], await NamesAsync(engine));
        await engine.CheckAsync(Cancellation);
        var gone = await Assert.ThrowsAsync<FaultException>(() => Transcript.Of(engine, Chat("a"), Cancellation));
        Assert.Equal(Fault.ModelNotFound, gone.Fault);
    }

    [Fact]
    public async Task RunAsync_AnotherModelGoes_StreamGoesOn()
    {
        var server = new FakeServer().On(Models, List("a", "b")).On(
            Chats, _ => ["""{"choices":[{"delta":{"content":"x"}}]}""", """{"choices":[{"delta":{"content":"y"},"finish_reason":"stop"}]}""", "[DONE]"]);
        await using var engine = await ConnectAsync(server);
        using var slots = new Slots(engine);
        await using var frames = engine.GenerateAsync(Chat("a"), Cancellation).GetAsyncEnumerator(Cancellation);
        Assert.True(await frames.MoveNextAsync() && await frames.MoveNextAsync());

        server.On(Models, List("a"));
        await slots.ChangedAsync(_time);

        var text = frames.Current.Text.ToStringUtf8();
        while (await frames.MoveNextAsync())
        {
            text += frames.Current.Text.ToStringUtf8();
        }

        Assert.Equal("xy", text);
    }

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
        using var slots = new Slots(engine);
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
        using var slots = new Slots(engine);
        await slots.ChangedAsync(_time);
        Assert.Equal(ResumeTier.Tokens, (await DescriptionAsync(engine)).ResumeTier);
    }

    /// <summary>A test of a model that is not in memory would load it, and may push out others.</summary>
    [Fact]
    public async Task RunAsync_OllamaModelIsNotLoaded_IsTriedWhenItHasAnswered()
    {
        var server = Dialogues.Ollama("""{"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}""").On("/api/ps", """{"models":[]}""");
        await using var engine = await ConnectAsync(server);
        using var slots = new Slots(engine);
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
        using var slots = new Slots(engine);

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

    [Fact]
    public async Task GenerateAsync_OllamaNameWithoutItsTag_IsTheSameModel()
    {
        var server = Dialogues.Ollama("""{"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}""").On(Models, List("fake:latest"));
        await using var engine = await ConnectAsync(server);

        Assert.Equal(["fake:latest", "fake"], await NamesAsync(engine));
        Assert.Equal("fake", (await StartAsync(engine, Chat("fake"))).Model);
    }

    [Fact]
    public async Task GenerateAsync_Alias_IsSentUnderTheServersName()
    {
        var server = new FakeServer().On(Models, List("m")).On(Chats, _ => ["""{"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}""", "[DONE]"]);
        await using var engine = await ConnectAsync(server, options => options with { Aliases = ["gpt-4o"] });

        var start = await StartAsync(engine, Chat("gpt-4o"));

        Assert.Equal(["m", "gpt-4o"], await NamesAsync(engine));
        Assert.Equal("gpt-4o", start.Model);
        Assert.Equal("m", JsonElement.Parse(server.Asked[^1].Body).GetProperty("model").GetString());
    }

    [Fact]
    public async Task ConnectAsync_AliasesForSeveralModels_IsRefused()
    {
        var server = new FakeServer().On(Models, List("a", "b"));

        var refusal = await Assert.ThrowsAsync<ArgumentException>(() => ConnectAsync(server, options => options with { Aliases = ["x"] }));

        Assert.Contains("Aliases need one model", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ConnectAsync_LlamaCppAgain_ReadsAFewHundredTokensInsteadOfAll()
    {
        const int Size = 1000;
        var server = LlamaCpp(Size);
        await using var first = await ConnectAsync(server);
        await using var second = await ConnectAsync(server);

        Assert.Equal([Size, 256], Probes(server));
        Assert.Equal("llama.cpp", second.Kind);
    }

    /// <summary>Another model behind the same report: the sample shows it.</summary>
    [Fact]
    public async Task ConnectAsync_LlamaCppWithOtherTokens_ReadsThemAll()
    {
        const int Size = 1000;
        await using var first = await ConnectAsync(LlamaCpp(Size));
        var changed = LlamaCpp(Size, shift: 1);
        await using var second = await ConnectAsync(changed);

        Assert.Equal([256, Size], Probes(changed));
    }

    [Fact]
    public void TokenBytesFile_DamagedOrOfAnotherSize_IsNotUsed()
    {
        byte[]?[] bytes = [[1, 2], null, [], [255]];
        TokenBytesFile.Write(_directory, "model", bytes);

        Assert.Equal(bytes, TokenBytesFile.Read(_directory, "model", 4));
        Assert.Null(TokenBytesFile.Read(_directory, "other", 4));
        Assert.Null(TokenBytesFile.Read(_directory, "model", 5));

        var file = Assert.Single(Directory.GetFiles(_directory));
        var content = File.ReadAllBytes(file);
        content[3] ^= 1;
        File.WriteAllBytes(file, content);
        Assert.Null(TokenBytesFile.Read(_directory, "model", 4));
    }

    [Fact]
    public void TokenBytesFile_ManyModels_KeepsTheNewest()
    {
        for (var i = 0; i < 20; i++)
        {
            TokenBytesFile.Write(_directory, $"model {i}", [[1]]);
        }

        Assert.Equal(16, Directory.GetFiles(_directory).Length);
        Assert.NotNull(TokenBytesFile.Read(_directory, "model 19", 1));
    }

    private static FakeServer LlamaCpp(int size, int shift = 0) => new FakeServer()
        .On("/props", """{"total_slots":4,"default_generation_settings":{"n_ctx":64},"chat_template":""}""")
        .On(Models, $$$"""{"data":[{"id":"m","owned_by":"llamacpp","meta":{"n_vocab":{{{size}}}}}]}""")
        .On("/completion", body => body.TryGetProperty("n_probs", out var count)
            ? [$"{{\"completion_probabilities\":[{{\"top_logprobs\":[{string.Join(',', Enumerable.Range(0, count.GetInt32()).Select(id => Token(id, shift)))}]}}]}}"]
            : ["""{"tokens":[5,6]}"""]);

    private static string Token(int id, int shift) => $"{{\"id\":{id},\"bytes\":[{(id + shift) % 256}]}}";

    private static IEnumerable<int> Probes(FakeServer server) => server.Asked
        .Where(asked => asked.Path == "/completion")
        .Select(asked => JsonElement.Parse(asked.Body))
        .Where(body => body.TryGetProperty("n_probs", out _))
        .Select(body => body.GetProperty("n_probs").GetInt32());

    private static string List(params string[] names) =>
        $"{{\"object\":\"list\",\"data\":[{string.Join(',', names.Select(name => $"{{\"id\":\"{name}\",\"owned_by\":\"library\"}}"))}]}}";

    private static GenerateRequest Chat(string model) =>
        new() { Model = model, Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8("""[{"role":"user","content":"Hi"}]""") } };

    private static async Task<IEnumerable<string>> NamesAsync(IInferenceEngine engine) => (await engine.DescribeAsync(Cancellation)).Models.Select(model => model.Name);

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

    /// <summary>Runs the background work of an engine.</summary>
    private sealed class Slots : IEngineSlots, IDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Slots(IInferenceEngine engine) => _ = engine.RunAsync(this, _stop.Token);

        public int Taken { get; private set; }

        public IDisposable TryTake()
        {
            Taken++;
            return new CancellationTokenSource();
        }

        public void DescriptionChanged(EngineDescription description) => _changed.TrySetResult();

        /// <summary>Lets ten seconds pass, and waits for the change.</summary>
        public async Task ChangedAsync(FakeTimeProvider time)
        {
            time.Advance(TimeSpan.FromSeconds(10));
            await _changed.Task.WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, Cancellation);
        }

        public void Dispose()
        {
            _stop.Cancel();
            _stop.Dispose();
        }
    }
}
