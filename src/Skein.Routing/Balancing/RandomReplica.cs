namespace Skein.Routing.Balancing;

/// <summary>A random replica, in proportion to the weights. It ignores load: a baseline for comparisons.</summary>
internal sealed class RandomReplica : IBalancingPolicy
{
    private const double OneOver2To53 = 1.0 / (1L << 53);

    public string Name => "random";

    public int Pick(in PickContext context)
    {
        var candidates = context.Candidates;
        var total = 0.0;
        foreach (ref readonly var candidate in candidates)
            total += candidate.Weight;
        var left = (context.Random.NextUInt64() >> 11) * OneOver2To53 * total;
        for (var i = 0; i < candidates.Length - 1; i++)
        {
            left -= candidates[i].Weight;
            if (left < 0)
                return i;
        }
        return candidates.Length - 1;
    }
}
