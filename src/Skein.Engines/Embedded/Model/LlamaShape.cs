using Skein.Engines.Embedded.Gguf;

namespace Skein.Engines.Embedded.Model;

/// <summary>Sizes and constants of a Llama model, as its file names them.</summary>
/// <param name="Vocabulary">Number of tokens.</param>
/// <param name="Width">Length of a token's vector (embedding length).</param>
/// <param name="KeyValueHeads">Divides <paramref name="Heads"/>.</param>
/// <param name="HeadSize">Length of one head's vector, a multiple of 8.</param>
/// <param name="Hidden">Length of the feed-forward layer's vector.</param>
internal sealed record LlamaShape(
    int ContextTokens,
    int Vocabulary,
    int Width,
    int Layers,
    int Heads,
    int KeyValueHeads,
    int HeadSize,
    int Hidden,
    float Epsilon,
    float RopeBase)
{
    /// <summary>Longest context. A longer one in the file is cut to this, so that the memory of a stream is bounded.</summary>
    public const int MostContextTokens = 8_192;

    private const int MostCachedNumbersPerToken = 262_144;

    // The keys under "llama." that the engine implements. Any other key may change what the model computes.
    private static readonly HashSet<string> KnownKeys = new(StringComparer.Ordinal)
    {
        "llama.vocab_size", "llama.context_length", "llama.embedding_length", "llama.block_count", "llama.feed_forward_length",
        "llama.attention.head_count", "llama.attention.head_count_kv", "llama.attention.key_length", "llama.attention.value_length",
        "llama.attention.layer_norm_rms_epsilon", "llama.rope.dimension_count", "llama.rope.freq_base", "llama.rope.scaling.type",
    };

    public int QueryWidth => Heads * HeadSize;

    public int KeyValueWidth => KeyValueHeads * HeadSize;

    /// <exception cref="ModelFileException">The file is not a Llama model, or has parts that the engine does not implement.</exception>
    public static LlamaShape Read(GgufMetadata metadata, int vocabulary)
    {
        RequireOnlyKnown(metadata);
        var width = metadata.Integer("llama.embedding_length", 1, 16_384);
        var heads = metadata.Integer("llama.attention.head_count", 1, 1_024);
        var keyValueHeads = metadata.IntegerOrNull("llama.attention.head_count_kv", 1, heads) ?? heads;
        if (heads % keyValueHeads != 0)
            throw metadata.Wrong("llama.attention.head_count_kv", keyValueHeads, $"a divisor of llama.attention.head_count, {heads}");

        var headSize = metadata.IntegerOrNull("llama.attention.key_length", 1, 1_024) ?? width / heads;
        if (headSize is 0 || headSize % 8 != 0)
            throw metadata.Wrong("head size (llama.attention.key_length, or embedding_length / head_count)", headSize, "a multiple of 8");

        RequireSame(metadata, "llama.attention.value_length", headSize);
        RequireSame(metadata, "llama.rope.dimension_count", headSize);
        RequireSame(metadata, "llama.vocab_size", vocabulary);
        var layers = metadata.Integer("llama.block_count", 1, 1_024);
        var cached = 2L * layers * keyValueHeads * headSize;
        if (cached > MostCachedNumbersPerToken)
            throw metadata.Wrong("numbers of keys and values per token", cached, $"at most {MostCachedNumbersPerToken}");

        return new LlamaShape(
            Math.Min(metadata.Integer("llama.context_length", 2, int.MaxValue), MostContextTokens),
            vocabulary,
            width,
            layers,
            heads,
            keyValueHeads,
            headSize,
            metadata.Integer("llama.feed_forward_length", 1, 65_536),
            metadata.NumberOrNull("llama.attention.layer_norm_rms_epsilon", 1e-12, 1e-2)
                ?? throw metadata.Wrong("llama.attention.layer_norm_rms_epsilon", "missing", "1e-12 to 0.01"),
            metadata.NumberOrNull("llama.rope.freq_base", 1, 1e9) ?? 10_000);
    }

    private static void RequireOnlyKnown(GgufMetadata metadata)
    {
        var architecture = metadata.Text("general.architecture");
        if (architecture != "llama")
            throw metadata.Wrong("general.architecture", architecture, "llama");

        if (metadata.TextOrNull("llama.rope.scaling.type") is { } scaling and not "none")
            throw metadata.Wrong("llama.rope.scaling.type", scaling, "none");

        if (metadata.Keys.FirstOrDefault(key => key.StartsWith("llama.", StringComparison.Ordinal) && !KnownKeys.Contains(key)) is { } unknown)
            throw metadata.Wrong(unknown, "given", "the keys of plain Llama models");
    }

    private static void RequireSame(GgufMetadata metadata, string key, int expected)
    {
        if (metadata.IntegerOrNull(key, 0, int.MaxValue) is { } value && value != expected)
            throw metadata.Wrong(key, value, $"{expected}");
    }
}
