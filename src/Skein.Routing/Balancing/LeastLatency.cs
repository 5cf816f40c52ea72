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
        var fastest = double.MaxValue;
        foreach (ref readonly var candidate in candidates)
        {
            if (candidate.Replica.Pace.PeakFirstToken.At(context.Now) is > 0 and var latency && latency < fastest)
                fastest = latency;
        }
        if (fastest == double.MaxValue)
            fastest = 1;
        var best = 0;
        var bestCost = double.MaxValue;
        var ties = 0;
        for (var i = 0; i < candidates.Length; i++)
        {
            ref readonly var candidate = ref candidates[i];
            var latency = candidate.Replica.Pace.PeakFirstToken.At(context.Now);
            var cost = Math.Max(latency, fastest) * (candidate.Load + 1) / candidate.Warmth;
            if (cost < bestCost)
                (best, bestCost, ties) = (i, cost, 1);
            else if (cost == bestCost && context.Random.Next(++ties) == 0)
                best = i;
        }
        return best;
    }
}
