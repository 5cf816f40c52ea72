namespace Skein.Routing.Balancing;

/// <summary>The replica with the lowest (load + 1) / weight. Ties are broken at random, so that several gateways do not pick the same replica.</summary>
internal sealed class WeightedLeastConnections : IBalancingPolicy
{
    public string Name => BalancingPolicies.Default;

    public int Pick(in PickContext context)
    {
        var candidates = context.Candidates;
        var best = 0;
        var bestLoad = candidates[0].Load + 1;
        var bestWeight = candidates[0].Weight;
        var ties = 1;
        for (var i = 1; i < candidates.Length; i++)
        {
            ref readonly var candidate = ref candidates[i];
            var load = candidate.Load + 1;
            var weight = candidate.Weight;
            // Scores are compared without dividing.
            var left = load * bestWeight;
            var right = bestLoad * weight;
            if (left < right)
            {
                (best, bestLoad, bestWeight, ties) = (i, load, weight, 1);
            }
            else if (left == right && context.Random.Next(++ties) == 0)
            {
                // Reservoir sampling: each of the tied replicas is picked with the same probability.
                best = i;
            }
        }
        return best;
    }
}
