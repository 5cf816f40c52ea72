using Skein.Engines.Embedded;
using Skein.Engines.Embedded.Gguf;
using Skein.Engines.Embedded.Model;
using Skein.Engines.Embedded.Tokens;

namespace Skein.Engines.Tests.Embedded;

/// <summary>Loads models for tests.</summary>
internal static class Loaded
{
    public static string DefaultModelFile { get; } = new EmbeddedEngineOptions().ModelFile;

    /// <summary>The default engine without a pace; a missing seed is 42.</summary>
    public static IInferenceEngine Engine(double tokensPerSecond = 0, TimeProvider? time = null) =>
        EmbeddedEngineFactory.Load(new EmbeddedEngineOptions { TokensPerSecond = tokensPerSecond }, time ?? TimeProvider.System, () => 42);

    /// <summary>An engine without a pace for a built file.</summary>
    public static IInferenceEngine Engine(GgufBuilder file)
    {
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, file.ToBytes());
            return EmbeddedEngineFactory.Load(new EmbeddedEngineOptions { ModelFile = path, TokensPerSecond = 0 }, TimeProvider.System, () => 42);
        }
        finally
        {
            File.Delete(path);
        }
    }

    public static LlamaModel Model(byte[] bytes)
    {
        var file = GgufFile.Open("test", bytes);
        var shape = LlamaShape.Read(file.Metadata, Vocabulary.Read(file.Metadata).Count);
        return new LlamaModel(shape, LlamaWeights.Read(file, shape));
    }

    public static Vocabulary DefaultVocabulary() =>
        Vocabulary.Read(GgufFile.Open(DefaultModelFile, File.ReadAllBytes(DefaultModelFile)).Metadata);
}
