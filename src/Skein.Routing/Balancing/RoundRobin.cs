namespace Skein.Routing.Balancing;

/// <summary>The replica whose last turn is the longest ago. It ignores weights and load.</summary>
internal sealed class RoundRobin : IBalancingPolicy
{
    public string Name => "round-robin";

    public int Pick(in PickContext context)
    {
        var candidates = context.Candidates;
        var best = 0;
        for (var i = 1; i < candidates.Length; i++)
        {
            if (candidates[i].Replica.LastTurn < candidates[best].Replica.LastTurn)
                best = i;
        }
        return best;
    }
}
