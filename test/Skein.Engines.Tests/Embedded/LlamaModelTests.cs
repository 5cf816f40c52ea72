using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Security.Cryptography;
using CsCheck;
using Skein.Engines.Embedded.Model;

namespace Skein.Engines.Tests.Embedded;

public class LlamaModelTests
{
    // What the default model's logits hash to, on every processor. A change of a single bit needs a new EmbeddedEngineFactory.NumericsVersion.
    private const string DefaultModelsLogits = "fb5a2cf546d4f11ebe7c731f3b55b418da91a6f0e9520cf7e18129aa82142728";

    // Switches of the runtime, effective from the start of a process: scalar code only; vectors of at most 128 bits (x64).
    private const string WithoutVectors = "DOTNET_EnableHWIntrinsic";
    private const string WithoutWideVectors = "DOTNET_EnableAVX";

    private static readonly LlamaModel DefaultModel = Loaded.Model(File.ReadAllBytes(Loaded.DefaultModelFile));

    [Theory]
    [InlineData(true, true, true)]
    [InlineData(false, false, false)]
    [InlineData(false, true, false)]
    public void Evaluate_AnyPortioningOfRandomModel_GivesTheSameBits(bool isHalf, bool hasBias, bool isTied) =>
        AssertPortioningDoesNotMatter(Loaded.Model(RandomModel.Build(isHalf, hasBias, isTied).ToBytes()), RandomModel.ContextTokens, iterations: 30);

    [Fact]
    public void Evaluate_AnyPortioningOfDefaultModel_GivesTheSameBits() => AssertPortioningDoesNotMatter(DefaultModel, 300, iterations: 8);

    [Fact]
    public void Evaluate_DefaultModel_GivesTheBitsOfEveryProcessor()
    {
        Assert.False(Vector128.IsHardwareAccelerated && Environment.GetEnvironmentVariable(WithoutVectors) == "0");
        Assert.False(Vector256.IsHardwareAccelerated && Environment.GetEnvironmentVariable(WithoutWideVectors) == "0");

        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using var cache = DefaultModel.NewCache();
        var logits = new float[DefaultModel.Shape.Vocabulary];
        DefaultModel.Evaluate([0, 3, .. Enumerable.Range(200, 20), 4], cache, logits);
        for (var token = 0; token < 24; token++)
        {
            hash.AppendData(MemoryMarshal.AsBytes(logits.AsSpan()));
            DefaultModel.Evaluate([logits.IndexOf(logits.Max())], cache, logits);
        }

        Assert.Equal(DefaultModelsLogits, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    [Theory]
    [InlineData(WithoutVectors)]
    [InlineData(WithoutWideVectors)]
    public async Task Evaluate_WithoutVectorInstructions_GivesTheSameBits(string knob)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet")
        {
            ArgumentList =
            {
                typeof(LlamaModelTests).Assembly.Location,
                "--filter-method", $"{typeof(LlamaModelTests).FullName}.{nameof(Evaluate_DefaultModel_GivesTheBitsOfEveryProcessor)}",
                "--minimum-expected-tests", "1",
            },
            Environment = { [knob] = "0" },
            RedirectStandardOutput = true,
            UseShellExecute = false,
        };
        using var deadline = new CancellationTokenSource(TimeSpan.FromMinutes(2), TimeProvider.System);
        using var child = Process.Start(start)!;
        await using var end = deadline.Token.Register(child.Kill);
        var output = await child.StandardOutput.ReadToEndAsync(deadline.Token);
        await child.WaitForExitAsync(deadline.Token);

        Assert.True(child.ExitCode == 0, output);
    }

    private static void AssertPortioningDoesNotMatter(LlamaModel model, int most, int iterations)
    {
        var ids = Gen.Int[0, model.Shape.Vocabulary - 1].Array[1, most];
        Gen.Select(ids, Gen.Int[1, most].Array[0, 12]).Sample((tokens, cuts) =>
        {
            var oneByOne = Logits(model, tokens, Enumerable.Range(1, tokens.Length));
            Assert.Equal(oneByOne, Logits(model, tokens, cuts));
        }, iter: iterations);
    }

    private static int[] Logits(LlamaModel model, int[] tokens, IEnumerable<int> cuts)
    {
        using var cache = model.NewCache();
        var logits = new float[model.Shape.Vocabulary];
        var blocks = Enumerable.Range(1, tokens.Length / Workspace.BlockTokens).Select(block => block * Workspace.BlockTokens);
        foreach (var end in cuts.Concat(blocks).Append(tokens.Length).Where(cut => cut <= tokens.Length).Distinct().Order())
        {
            model.Evaluate(tokens.AsSpan(cache.Length..end), cache, logits);
        }

        return MemoryMarshal.Cast<float, int>(logits.AsSpan()).ToArray();
    }
}
