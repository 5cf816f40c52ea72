using System.Collections.Concurrent;
using Skein.Engines.Embedded.Numerics;

namespace Skein.Engines.Embedded.Model;

/// <summary>
/// A Llama decoder (RMS norm, rotary positions, grouped-query attention, SwiGLU; Touvron et al., 2023). The logits after a sequence of tokens
/// are the same bits however the sequence was cut into calls, on every processor: see <see cref="Kernels"/> and <see cref="PortableMath"/>.
/// Safe for concurrent use with different caches.
/// </summary>
internal sealed class LlamaModel(LlamaShape shape, LlamaWeights weights)
{
    private readonly RotaryTable _rotary = new(shape.ContextTokens, shape.HeadSize, shape.RopeBase);
    private readonly float _queryScale = 1 / MathF.Sqrt(shape.HeadSize);
    private readonly KvPagePool _pages = new(shape);
    private readonly ConcurrentBag<Workspace> _workspaces = [];

    public LlamaShape Shape => shape;

    public KvCache NewCache() => new(_pages);

    /// <summary>Appends tokens to a stream.</summary>
    /// <param name="tokens">1 to <see cref="Workspace.BlockTokens"/> tokens. Together with the cache they fit the context.</param>
    /// <param name="cache">Keys and values of the tokens before; those of <paramref name="tokens"/> are added.</param>
    /// <param name="logits">Receives the logits after the last token; empty if they are not needed.</param>
    public void Evaluate(ReadOnlySpan<int> tokens, KvCache cache, Span<float> logits)
    {
        var work = _workspaces.TryTake(out var free) ? free : new Workspace(shape);
        var residual = work.Residual.AsSpan(0, tokens.Length * shape.Width);
        for (var i = 0; i < tokens.Length; i++)
            weights.Embedding.Row(tokens[i]).CopyTo(residual[(i * shape.Width)..]);

        var start = cache.Length;
        cache.Extend(tokens.Length);
        for (var layer = 0; layer < shape.Layers; layer++)
        {
            Attend(weights.Layers[layer], layer, tokens.Length, start, cache, work);
            FeedForward(weights.Layers[layer], tokens.Length, work);
        }

        if (!logits.IsEmpty)
        {
            var last = work.Normalized.AsSpan(0, shape.Width);
            Elementwise.Normalize(residual[^shape.Width..], weights.OutputNorm, shape.Epsilon, last);
            Kernels.Multiply(weights.Head, last, 1, logits);
        }

        _workspaces.Add(work);
    }

    private void Attend(LlamaLayer layer, int index, int tokens, int start, KvCache cache, Workspace work)
    {
        NormalizeAll(layer.AttentionNorm, tokens, work);
        Kernels.Multiply(layer.Query, work.Normalized, tokens, work.Query);
        Kernels.Multiply(layer.Key, work.Normalized, tokens, work.Key);
        Kernels.Multiply(layer.Value, work.Normalized, tokens, work.Value);
        var (queryWidth, cacheWidth) = (shape.QueryWidth, shape.KeyValueWidth);
        for (var i = 0; i < tokens; i++)
        {
            var key = work.Key.AsSpan(i * cacheWidth, cacheWidth);
            _rotary.Turn(key, start + i);
            _rotary.Turn(work.Query.AsSpan(i * queryWidth, queryWidth), start + i, _queryScale);
            cache.Write(index, start + i, key, work.Value.AsSpan(i * cacheWidth, cacheWidth));
        }

        var (size, keys) = (shape.HeadSize, 2 * index * cacheWidth * KvCache.PageTokens);
        var values = keys + (cacheWidth * KvCache.PageTokens);
        for (var i = 0; i < tokens; i++)
        {
            for (var head = 0; head < shape.Heads; head++)
            {
                var cached = head / (shape.Heads / shape.KeyValueHeads) * size;
                var place = (i * queryWidth) + (head * size);
                Attention.Apply(
                    work.Query.AsSpan(place, size),
                    cache.Pages,
                    keys + (cached * KvCache.PageTokens),
                    values + cached,
                    cacheWidth,
                    start + i + 1,
                    work.Scores,
                    work.Attended.AsSpan(place, size));
            }
        }

        Kernels.Multiply(layer.AttentionOutput, work.Attended, tokens, work.Update);
        Elementwise.Add(work.Residual.AsSpan(0, tokens * shape.Width), work.Update);
    }

    private void FeedForward(LlamaLayer layer, int tokens, Workspace work)
    {
        NormalizeAll(layer.FeedForwardNorm, tokens, work);
        Kernels.Multiply(layer.Gate, work.Normalized, tokens, work.Gate);
        Kernels.Multiply(layer.Up, work.Normalized, tokens, work.Up);
        Elementwise.Gate(work.Gate.AsSpan(0, tokens * shape.Hidden), work.Up);
        Kernels.Multiply(layer.Down, work.Gate, tokens, work.Update);
        Elementwise.Add(work.Residual.AsSpan(0, tokens * shape.Width), work.Update);
    }

    private void NormalizeAll(ReadOnlySpan<float> weight, int tokens, Workspace work)
    {
        for (var i = 0; i < tokens; i++)
        {
            var (start, width) = (i * shape.Width, shape.Width);
            Elementwise.Normalize(work.Residual.AsSpan(start, width), weight, shape.Epsilon, work.Normalized.AsSpan(start, width));
        }
    }
}
