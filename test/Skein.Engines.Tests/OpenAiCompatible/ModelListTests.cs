using System.Text.Json;
using Google.Protobuf;
using Microsoft.Extensions.Time.Testing;
using Skein.Engines.OpenAiCompatible;
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
        using var slots = new EngineBackground(engine);

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
        using var slots = new EngineBackground(engine);
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

    private Task<IInferenceEngine> ConnectAsync(FakeServer server, Func<OpenAiEngineOptions, OpenAiEngineOptions>? change = null)
    {
        var options = new OpenAiEngineOptions { BaseUrl = new Uri("http://fake.test"), CacheDirectory = _directory };
        return OpenAiEngineFactory.ConnectAsync(change?.Invoke(options) ?? options, _time, () => server, Cancellation);
    }
}
