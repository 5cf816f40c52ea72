using Skein.Engines.Embedded.Tokens;

namespace Skein.Engines.Tests.Embedded;

/// <summary>
/// Tiny models with random weights: one token per byte, a begin, an end and role tokens. They babble bytes, half characters among them, and end
/// their answers now and then.
/// </summary>
internal static class RandomModel
{
    public const int Begin = 256;
    public const int End = 257;
    public const int ContextTokens = 160;
    private const int Width = 16;
    private const int HeadSize = 8;

    private static readonly string[] Controls = ["<|im_start|>", "<|im_end|>"];

    /// <summary>A model file. Sizes are odd on purpose: no row but the embedding's fills whole vectors or groups of four rows.</summary>
    public static GgufBuilder Build(bool isHalf = false, bool hasBias = true, bool isTied = true, uint version = 3, int seed = 1)
    {
        var random = new Random(seed);
        var (heads, keyValueHeads, hidden) = (3, 1, 21);
        string[] tokens = [.. Enumerable.Range(0, 256).Select(unit => ByteAlphabet.CharacterOf((byte)unit).ToString()), .. Controls];
        var builder = new GgufBuilder { Version = version }
            .Set("general.architecture", "llama")
            .Set("general.name", "babbler")
            .Set("llama.context_length", ContextTokens)
            .Set("llama.embedding_length", Width)
            .Set("llama.block_count", 1)
            .Set("llama.feed_forward_length", (uint)hidden)
            .Set("llama.attention.head_count", (uint)heads)
            .Set("llama.attention.head_count_kv", (uint)keyValueHeads)
            .Set("llama.attention.key_length", HeadSize)
            .Set("llama.attention.value_length", HeadSize)
            .Set("llama.attention.layer_norm_rms_epsilon", 1e-5f)
            .Set("tokenizer.ggml.model", "gpt2")
            .Set("tokenizer.ggml.pre", "gpt-2")
            .Set("tokenizer.ggml.tokens", tokens)
            .Set("tokenizer.ggml.token_type", tokens.Select(token => Controls.Contains(token) ? 3 : 1).ToArray())
            .Set("tokenizer.ggml.merges", Array.Empty<string>())
            .Set("tokenizer.ggml.bos_token_id", Begin)
            .Set("tokenizer.ggml.eos_token_id", End);
        Weights("token_embd.weight", Width, tokens.Length);
        Weights("output_norm.weight", Width);
        Weights("blk.0.attn_norm.weight", Width);
        Weights("blk.0.attn_q.weight", Width, heads * HeadSize);
        Weights("blk.0.attn_k.weight", Width, keyValueHeads * HeadSize);
        Weights("blk.0.attn_v.weight", Width, keyValueHeads * HeadSize);
        Weights("blk.0.attn_output.weight", heads * HeadSize, Width);
        Weights("blk.0.ffn_norm.weight", Width);
        Weights("blk.0.ffn_gate.weight", Width, hidden);
        Weights("blk.0.ffn_up.weight", Width, hidden);
        Weights("blk.0.ffn_down.weight", hidden, Width);
        if (hasBias)
        {
            Weights("blk.0.attn_q.bias", heads * HeadSize);
            Weights("blk.0.attn_k.bias", keyValueHeads * HeadSize);
            Weights("blk.0.attn_v.bias", keyValueHeads * HeadSize);
        }

        if (!isTied)
        {
            Weights("output.weight", Width, tokens.Length);
        }

        return builder;

        void Weights(string name, params int[] dimensions)
        {
            var values = new float[dimensions.Aggregate((a, b) => a * b)];
            for (var i = 0; i < values.Length; i++)
            {
                values[i] = (random.NextSingle() * 2) - 1;
            }

            builder.Tensor(name, values, isHalf && dimensions.Length == 2, dimensions); // vectors stay F32 in real files too
        }
    }
}
