namespace Skein.Routing.Balancing;

/// <summary>
/// The replica with the lowest product of load and recent time to the first token. That time rises at once with a slow answer and decays slowly (peak EWMA,
/// as in Finagle's load balancer). A replica without a measurement counts as fast as the fastest.
/// </summary>
internal sealed class LeastLatency : IBalancingPolicy
{
    public string Name => "least-latency";

    public int Pick(in PickContext context)
    {
        var candidates = context.Candidates;
        var best = -1;
        var bestCost = double.MaxValue;
        var ties = 0;
        var fastest = double.MaxValue;
        var hasUnknown = false;
        for (var i = 0; i < candidates.Length; i++)
        {
            ref readonly var candidate = ref candidates[i];
            var latency = candidate.Replica.PeakFirstToken.At(context.Now);
            if (latency == 0)
            {
                hasUnknown = true;
                continue;
            }
            fastest = Math.Min(fastest, latency);
            Compare(i, latency * (candidate.Load + 1) / candidate.Warmth, context.Random);
        }
        for (var i = 0; hasUnknown && i < candidates.Length; i++)
        {
            ref readonly var candidate = ref candidates[i];
            if (candidate.Replica.PeakFirstToken.At(context.Now) == 0)
                Compare(i, (fastest == double.MaxValue ? 1 : fastest) * (candidate.Load + 1) / candidate.Warmth, context.Random);
        }
        return best;

        void Compare(int index, double cost, IRandomSource random)
        {
            if (cost < bestCost)
                (best, bestCost, ties) = (index, cost, 1);
            else if (cost == bestCost && random.Next(++ties) == 0)
                best = index;
        }
    }
}
