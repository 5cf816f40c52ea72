namespace Skein.Engines.Embedded.Model;

/// <summary>Intermediate results of one call of <see cref="LlamaModel.Evaluate"/>. There are as many as calls ran concurrently.</summary>
internal sealed class Workspace(LlamaShape shape)
{
    /// <summary>Most tokens of one call: enough to use a weight often while it is in the cache, few enough for a cancellation to be seen soon.</summary>
    public const int BlockTokens = 32;

    public float[] Residual { get; } = new float[BlockTokens * shape.Width];

    public float[] Normalized { get; } = new float[BlockTokens * shape.Width];

    /// <summary>What a sub-layer adds to <see cref="Residual"/>.</summary>
    public float[] Update { get; } = new float[BlockTokens * shape.Width];

    public float[] Query { get; } = new float[BlockTokens * shape.QueryWidth];

    public float[] Key { get; } = new float[BlockTokens * shape.KeyValueWidth];

    public float[] Value { get; } = new float[BlockTokens * shape.KeyValueWidth];

    public float[] Attended { get; } = new float[BlockTokens * shape.QueryWidth];

    public float[] Gate { get; } = new float[BlockTokens * shape.Hidden];

    public float[] Up { get; } = new float[BlockTokens * shape.Hidden];

    public float[] Scores { get; } = new float[shape.ContextTokens + KvCache.PageTokens];
}
