namespace Skein.Engines.Embedded.Sampling;

/// <summary>The tokens that a draw may choose from.</summary>
internal sealed class Candidates(int vocabulary)
{
    // Weight and id of a candidate in one number: sorting is fast and deterministic. Positive floats sort like their bits, and of equal weights the lower id,
    // stored inverted, is the larger number.
    private readonly ulong[] _keys = new ulong[vocabulary];

    /// <param name="weights">Of each token; none is negative.</param>
    /// <param name="sum">Of all weights.</param>
    /// <param name="random">From 0 to 1.</param>
    public int Draw(ReadOnlySpan<float> weights, float sum, SamplingRules rules, double random)
    {
        var count = Collect(weights, sum, rules);
        var keys = _keys.AsSpan(0, count);
        if (rules.TopK > 0 || rules.TopP < 1)
        {
            keys.Sort();
            keys.Reverse();
            keys = keys[..Nucleus(keys, sum, rules)];
        }

        var total = 0.0;
        foreach (var key in keys)
            total += Weight(key);

        var left = random * total;
        foreach (var key in keys)
        {
            left -= Weight(key);
            if (left < 0)
                return Id(key);
        }

        return Id(keys[^1]); // rounding used up the last candidate's share
    }

    // Skips tokens that cannot be drawn. Weights are relative to the likeliest token, which has 1. Top-p stops before the tokens that weigh less than
    // half the mean of the share it excludes, because all of them together weigh less than that share.
    private int Collect(ReadOnlySpan<float> weights, float sum, SamplingRules rules)
    {
        var least = Math.Max(rules.MinP, (1 - rules.TopP) * sum / weights.Length * 0.5f);
        var count = 0;
        for (var id = 0; id < weights.Length; id++)
        {
            if (weights[id] >= least && weights[id] > 0)
                _keys[count++] = ((ulong)BitConverter.SingleToUInt32Bits(weights[id]) << 32) | (uint)~id;
        }

        return count;
    }

    private static int Nucleus(ReadOnlySpan<ulong> keys, float sum, SamplingRules rules)
    {
        var most = rules.TopK > 0 ? Math.Min(rules.TopK, keys.Length) : keys.Length;
        var goal = rules.TopP < 1 ? (double)rules.TopP * sum : double.PositiveInfinity;
        var reached = 0.0;
        var count = 0;
        // A top-p of 0 leaves the likeliest token.
        while (count < most && (count == 0 || reached < goal))
            reached += Weight(keys[count++]);

        return count;
    }

    private static float Weight(ulong key) => BitConverter.UInt32BitsToSingle((uint)(key >> 32));

    private static int Id(ulong key) => (int)~(uint)key;
}
