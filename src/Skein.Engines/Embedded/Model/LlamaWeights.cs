using Skein.Engines.Embedded.Gguf;
using Skein.Engines.Embedded.Numerics;

namespace Skein.Engines.Embedded.Model;

internal sealed record LlamaLayer(
    float[] AttentionNorm,
    Matrix Query,
    Matrix Key,
    Matrix Value,
    Matrix AttentionOutput,
    float[] FeedForwardNorm,
    Matrix Gate,
    Matrix Up,
    Matrix Down);

/// <summary>All weights of a model, as 32-bit numbers. Read-only, and shared by all streams.</summary>
internal sealed record LlamaWeights(Matrix Embedding, LlamaLayer[] Layers, float[] OutputNorm, Matrix Head)
{
    /// <exception cref="ModelFileException">A tensor is missing, unknown, or of another shape.</exception>
    public static LlamaWeights Read(GgufFile file, LlamaShape shape)
    {
        var known = new HashSet<string>(StringComparer.Ordinal);
        var embedding = Linear("token_embd", shape.Vocabulary, shape.Width);
        var head = file.HasTensor("output.weight") ? Linear("output", shape.Vocabulary, shape.Width) : embedding;
        var layers = new LlamaLayer[shape.Layers];
        for (var i = 0; i < layers.Length; i++)
        {
            var block = $"blk.{i}.";
            layers[i] = new LlamaLayer(
                Vector(block + "attn_norm"),
                Linear(block + "attn_q", shape.QueryWidth, shape.Width, mayHaveBias: true),
                Linear(block + "attn_k", shape.KeyValueWidth, shape.Width, mayHaveBias: true),
                Linear(block + "attn_v", shape.KeyValueWidth, shape.Width, mayHaveBias: true),
                Linear(block + "attn_output", shape.Width, shape.QueryWidth),
                Vector(block + "ffn_norm"),
                Linear(block + "ffn_gate", shape.Hidden, shape.Width),
                Linear(block + "ffn_up", shape.Hidden, shape.Width),
                Linear(block + "ffn_down", shape.Width, shape.Hidden));
        }

        var weights = new LlamaWeights(embedding, layers, Vector("output_norm"), head);
        return file.TensorNames.FirstOrDefault(name => !known.Contains(name)) is { } unknown
            ? throw file.WrongTensor(unknown, "given", "the tensors of plain Llama models, with or without biases of q, k and v")
            : weights;

        float[] Numbers(string name, int rows, int columns)
        {
            known.Add(name);
            return file.Read(name, rows, columns);
        }

        float[] Vector(string name) => Numbers(name + ".weight", 1, shape.Width);

        Matrix Linear(string name, int rows, int columns, bool mayHaveBias = false)
        {
            var bias = mayHaveBias && file.HasTensor(name + ".bias") ? Numbers(name + ".bias", 1, rows) : null;
            return new Matrix(Numbers(name + ".weight", rows, columns), rows, columns, bias);
        }
    }
}
