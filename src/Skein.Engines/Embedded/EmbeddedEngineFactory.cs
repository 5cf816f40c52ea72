using System.Buffers.Binary;
using System.Reflection;
using System.Security.Cryptography;
using Skein.Engines.Embedded.Chat;
using Skein.Engines.Embedded.Gguf;
using Skein.Engines.Embedded.Model;
using Skein.Engines.Embedded.Tokens;

namespace Skein.Engines.Embedded;

/// <summary>Creates the embedded engine: a small language model on the CPU of this process, in managed code.</summary>
public sealed class EmbeddedEngineFactory : IEngineFactory
{
    public const string Kind = "embedded";

    // Part of every fingerprint. Raise it with each change that may alter a bit of a logit, a draw or a released text: engines with different versions must
    // not continue each other's answers.
    private const string NumericsVersion = "skein-embedded-1";

    private const long MostFileBytes = 1 << 30;
    private const int MostNameBytes = 256;

    public string Help => $"{Kind} (a tiny real model in this process)";

    public string Allowed => Kind;

    public string Subject => "the embedded engine";

    public IReadOnlyList<EngineSetting> Settings { get; } = [EngineSetting.TokensPerSecond, EngineSetting.Model];

    public bool Matches(string engine) => engine == Kind;

    public void Check(EngineConfiguration configuration)
    {
        if (configuration.Get<string?>(EngineSetting.Model, null) is { } model && !File.Exists(model))
            throw new ArgumentException($"--{EngineSetting.Model.Name} '{model}' is not a file; allowed: a GGUF file");
    }

    public Task<IInferenceEngine> CreateAsync(EngineConfiguration configuration, CancellationToken cancellationToken)
    {
        var options = new EmbeddedEngineOptions();
        options = options with
        {
            TokensPerSecond = configuration.Get(EngineSetting.TokensPerSecond, options.TokensPerSecond),
            ModelFile = configuration.Get(EngineSetting.Model, options.ModelFile),
        };
        return Task.FromResult(Load(options, TimeProvider.System));
    }

    /// <summary>Reads the model file and returns the engine, ready to serve. Takes some milliseconds per million weights.</summary>
    /// <param name="drawSeed">
    /// Called, by any thread, for a sampled request without a seed; behind a gateway every request has one. Default: the system's random numbers.
    /// </param>
    /// <exception cref="ModelFileException">The file is missing or not of the kind the engine reads.</exception>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    public static IInferenceEngine Load(EmbeddedEngineOptions options, TimeProvider time, Func<ulong>? drawSeed = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(time);
        OptionGuard.Range(options.TokensPerSecond, 0, 1_000_000, nameof(options.TokensPerSecond));
        var bytes = ReadFile(options.ModelFile);
        var file = GgufFile.Open(options.ModelFile, bytes);
        var vocabulary = Vocabulary.Read(file.Metadata);
        var shape = LlamaShape.Read(file.Metadata, vocabulary.Count);
        var model = new LlamaModel(shape, LlamaWeights.Read(file, shape));
        var chat = ChatTemplate.Recognize(file.Metadata.TextOrNull("tokenizer.chat_template"), vocabulary);
        var description = new ModelDescription
        {
            Name = NameOf(options, file.Metadata),
            Fingerprint = FingerprintOf(bytes),
            ContextTokens = (uint)shape.ContextTokens,
            ResumeTier = ResumeTier.Exact,
            Unit = TokenUnit.Token,
            Chat = chat is not null,
        };
        return new EmbeddedEngine(description, model, vocabulary, chat, options.TokensPerSecond, time, drawSeed ?? DrawSeed);
    }

    private static byte[] ReadFile(string path)
    {
        try
        {
            using var stream = Open(path);
            if (stream.Length > MostFileBytes)
                throw new ModelFileException(path, "size", $"{stream.Length} bytes", $"at most {MostFileBytes}");

            var bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            return bytes;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new ModelFileException(path, "the file", $"not readable ({exception.Message})", "a GGUF model file", exception);
        }
    }

    // A published single-file program contains the default model as a resource.
    private static Stream Open(string path) =>
        (path == EmbeddedEngineOptions.DefaultModelFile && !File.Exists(path) ? Assembly.GetEntryAssembly()?.GetManifestResourceStream("model.gguf") : null)
        ?? File.OpenRead(path);

    private static string NameOf(EmbeddedEngineOptions options, GgufMetadata metadata)
    {
        var name = options.ModelName ?? metadata.TextOrNull("general.name") ?? Path.GetFileNameWithoutExtension(options.ModelFile);
        return Encoding.UTF8.GetByteCount(name) is > 0 and <= MostNameBytes
            ? name
            : throw metadata.Wrong("general.name (or the option ModelName)", name, $"1 to {MostNameBytes} bytes");
    }

    private static string FingerprintOf(byte[] file)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(NumericsVersion));
        hash.AppendData(file);
        return Convert.ToHexStringLower(hash.GetHashAndReset().AsSpan(0, 16));
    }

    private static ulong DrawSeed() => BinaryPrimitives.ReadUInt64LittleEndian(RandomNumberGenerator.GetBytes(sizeof(ulong)));
}

/// <summary>What the embedded engine serves, and how fast.</summary>
public sealed record EmbeddedEngineOptions
{
    /// <summary>
    /// GGUF file, version 2 or 3, of a Llama model with F32 or F16 weights and a byte-level BPE tokenizer; at most 1 GiB. Default: the model that
    /// comes with Skein: <c>models/tiny-storyteller/model.gguf</c> beside the program, or in the program if it is a single file.
    /// </summary>
    public string ModelFile { get; init; } = DefaultModelFile;

    /// <summary>
    /// Name under which the model is served, 1 to 256 bytes. Default (null): <c>general.name</c> of the file, or else the file's own name.
    /// </summary>
    public string? ModelName { get; init; }

    /// <summary>
    /// Most tokens per second and stream, 0 to 1,000,000. Default: 40, about the pace of a reader. 0: no limit. The pace does not apply to
    /// reading the prompt.
    /// </summary>
    public double TokensPerSecond { get; init; } = 40;

    internal static string DefaultModelFile { get; } = Path.Combine(AppContext.BaseDirectory, "models", "tiny-storyteller", "model.gguf");
}
