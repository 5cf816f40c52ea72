namespace Skein.Routing.Balancing;

/// <summary>The replica with the lowest (load + 1) / weight. Ties are broken at random, so that several gateways do not pick the same replica.</summary>
internal sealed class WeightedLeastConnections : IBalancingPolicy
{
    public string Name => BalancingPolicies.Default;

    public int Pick(in PickContext context)
    {
        var candidates = context.Candidates;
        var best = 0;
        var bestScore = candidates[0].Score;
        var ties = 1;
        for (var i = 1; i < candidates.Length; i++)
        {
            var score = candidates[i].Score;
            if (score < bestScore)
            {
                (best, bestScore, ties) = (i, score, 1);
            }
            else if (score == bestScore && context.Random.Next(++ties) == 0)
            {
                // Reservoir sampling: each of the tied replicas is picked with the same probability.
                best = i;
            }
        }
        return best;
    }
}
