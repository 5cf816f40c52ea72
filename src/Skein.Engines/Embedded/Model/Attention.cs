using System.Runtime.Intrinsics;
using Skein.Engines.Embedded.Numerics;

namespace Skein.Engines.Embedded.Model;

/// <summary>
/// One head of causal attention over the cached tokens. Every sum runs in one fixed order: scores over the elements of the key, the softmax as
/// <see cref="Elementwise.Exponentiate"/>, values over the tokens from the first to the last.
/// </summary>
internal static class Attention
{
    private const int Lanes = 8;

    /// <summary>Computes the head's result for one token.</summary>
    /// <param name="query">The head's query, already scaled.</param>
    /// <param name="keyOffset">Where the head's keys begin in a page.</param>
    /// <param name="valueOffset">Where the head's values begin in a page.</param>
    /// <param name="valueStride">From one token's values to the next one's.</param>
    /// <param name="visible">Number of tokens that the query attends to, its own included.</param>
    /// <param name="scores">Scratch, at least <paramref name="visible"/> rounded up to a page.</param>
    /// <param name="result">As long as the query.</param>
    public static void Apply(
        ReadOnlySpan<float> query,
        ReadOnlySpan<float[]> pages,
        int keyOffset,
        int valueOffset,
        int valueStride,
        int visible,
        Span<float> scores,
        Span<float> result)
    {
        for (var first = 0; first < visible; first += KvCache.PageTokens)
        {
            var keys = pages[first / KvCache.PageTokens].AsSpan(keyOffset, query.Length * KvCache.PageTokens);
            Score(query, keys, scores.Slice(first, KvCache.PageTokens)); // includes unwritten slots of the last page, which are cut off next
        }

        scores = scores[..visible];
        var sum = Elementwise.Exponentiate(scores);
        result.Clear();
        for (var first = 0; first < visible; first += KvCache.PageTokens)
        {
            var values = pages[first / KvCache.PageTokens].AsSpan(valueOffset);
            Accumulate(scores[first..Math.Min(first + KvCache.PageTokens, visible)], values, valueStride, result);
        }

        for (var i = 0; i < result.Length; i++)
            result[i] /= sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Score(ReadOnlySpan<float> query, ReadOnlySpan<float> keys, Span<float> scores)
    {
        ref var key = ref MemoryMarshal.GetReference(keys);
        Vector256<float> s0 = default, s1 = default, s2 = default, s3 = default, s4 = default, s5 = default, s6 = default, s7 = default;
        foreach (var element in query)
        {
            var q = Vector256.Create(element);
            s0 += q * Vector256.LoadUnsafe(ref key);
            s1 += q * Vector256.LoadUnsafe(ref key, Lanes);
            s2 += q * Vector256.LoadUnsafe(ref key, 2 * Lanes);
            s3 += q * Vector256.LoadUnsafe(ref key, 3 * Lanes);
            s4 += q * Vector256.LoadUnsafe(ref key, 4 * Lanes);
            s5 += q * Vector256.LoadUnsafe(ref key, 5 * Lanes);
            s6 += q * Vector256.LoadUnsafe(ref key, 6 * Lanes);
            s7 += q * Vector256.LoadUnsafe(ref key, 7 * Lanes);
            key = ref Unsafe.Add(ref key, KvCache.PageTokens);
        }

        s0.CopyTo(scores);
        s1.CopyTo(scores[Lanes..]);
        s2.CopyTo(scores[(2 * Lanes)..]);
        s3.CopyTo(scores[(3 * Lanes)..]);
        s4.CopyTo(scores[(4 * Lanes)..]);
        s5.CopyTo(scores[(5 * Lanes)..]);
        s6.CopyTo(scores[(6 * Lanes)..]);
        s7.CopyTo(scores[(7 * Lanes)..]);
    }

    // result += weight * value, token by token; four vectors at a time where the head is long enough.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Accumulate(ReadOnlySpan<float> weights, ReadOnlySpan<float> values, int stride, Span<float> result)
    {
        var i = 0;
        for (; i + (4 * Lanes) <= result.Length; i += 4 * Lanes)
        {
            var target = result.Slice(i, 4 * Lanes);
            ref var value = ref MemoryMarshal.GetReference(values[i..]);
            var (s0, s1) = (Vector256.Create<float>(target), Vector256.Create<float>(target[Lanes..]));
            var (s2, s3) = (Vector256.Create<float>(target[(2 * Lanes)..]), Vector256.Create<float>(target[(3 * Lanes)..]));
            foreach (var weight in weights)
            {
                var w = Vector256.Create(weight);
                s0 += w * Vector256.LoadUnsafe(ref value);
                s1 += w * Vector256.LoadUnsafe(ref value, Lanes);
                s2 += w * Vector256.LoadUnsafe(ref value, 2 * Lanes);
                s3 += w * Vector256.LoadUnsafe(ref value, 3 * Lanes);
                value = ref Unsafe.Add(ref value, stride);
            }

            s0.CopyTo(target);
            s1.CopyTo(target[Lanes..]);
            s2.CopyTo(target[(2 * Lanes)..]);
            s3.CopyTo(target[(3 * Lanes)..]);
        }

        for (; i < result.Length; i += Lanes)
        {
            var sum = Vector256.Create<float>(result[i..]);
            for (var token = 0; token < weights.Length; token++)
                sum += Vector256.Create(weights[token]) * Vector256.Create<float>(values[((token * stride) + i)..]);

            sum.CopyTo(result[i..]);
        }
    }
}
