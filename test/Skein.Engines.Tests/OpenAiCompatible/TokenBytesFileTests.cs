using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using Skein.Engines.OpenAiCompatible;
using Skein.Engines.OpenAiCompatible.LlamaCpp;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.OpenAiCompatible;

/// <summary>The bytes of a llama.cpp model's tokens, which are read once and kept in a file.</summary>
public sealed class TokenBytesFileTests : IDisposable
{
    private const string Models = "/v1/models";
    private readonly FakeTimeProvider _time = new();
    private readonly string _directory = Directory.CreateTempSubdirectory("skein-tests-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

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

    private Task<IInferenceEngine> ConnectAsync(FakeServer server, Func<OpenAiEngineOptions, OpenAiEngineOptions>? change = null)
    {
        var options = new OpenAiEngineOptions { BaseUrl = new Uri("http://fake.test"), CacheDirectory = _directory };
        return OpenAiEngineFactory.ConnectAsync(change?.Invoke(options) ?? options, _time, () => server, Cancellation);
    }
}
