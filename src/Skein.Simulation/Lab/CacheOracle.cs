using Skein.Routing.Balancing;

namespace Skein.Simulation.Lab;

/// <summary>
/// Sends each request where the most of its prompt is cached, given the true content of all caches. No gateway can know that: it is what prefix affinity is
/// compared with. The bounded one also knows the tokens that each request truly costs, and keeps each replica's within any minute below the bound of a hot spot
/// as long as one can take the request; it is what a policy can reach at most without knowing the future.
/// </summary>
internal sealed class CacheOracle(LabWorld world, bool isBounded) : IBalancingPolicy
{
    public const string PolicyName = "cache-oracle";
    public const string BoundedPolicyName = "bounded-cache-oracle";

    private static readonly TimeSpan Window = TimeSpan.FromSeconds(60);

    private readonly Queue<(TimeSpan At, int Replica, double Tokens)> _recent = new();
    private readonly double[] _tokens = new double[world.Replicas.Count];
    private double _all;

    public string Name => isBounded ? BoundedPolicyName : PolicyName;

    public IBalancingPolicy ForModel() => new CacheOracle(world, isBounded);

    public int Pick(in PickContext context)
    {
        Forget(context.Now);
        var request = world.RequestOf(context.SessionKey);
        var weights = 0.0;
        foreach (ref readonly var candidate in context.Candidates)
            weights += candidate.Weight;
        var best = 0;
        var bestCost = (Excess: double.MaxValue, Missed: 0.0, Recent: 0.0);
        for (var i = 0; i < context.Candidates.Length; i++)
        {
            ref readonly var candidate = ref context.Candidates[i];
            var replica = world.ReplicaOf(candidate.Replica.Id.Name);
            var missed = Missed(request, replica);
            var recent = _tokens[replica.Index] + missed;
            var share = (_all + missed) * candidate.Weight / weights;
            var bound = Math.Max(1.25 * share, share + (4 * _all / Math.Max(1, _recent.Count)));
            var cost = (isBounded ? Math.Max(0, recent - bound) : 0, missed, recent / candidate.Weight);
            if (cost.CompareTo(bestCost) < 0)
                (best, bestCost) = (i, cost);
        }
        return best;
    }

    public void Used(in PickContext context, int picked)
    {
        var request = world.RequestOf(context.SessionKey);
        var replica = world.ReplicaOf(context.Candidates[picked].Replica.Id.Name);
        var tokens = Missed(request, replica);
        _recent.Enqueue((context.Now, replica.Index, tokens));
        _tokens[replica.Index] += tokens;
        _all += tokens;
        replica.Engine.Expect(request);
    }

    private static double Missed(LabRequest request, LabReplica replica) =>
        request.Trace.PromptTokens - replica.Engine.CachedTokensOf(request) + request.Trace.AnswerTokens;

    private void Forget(TimeSpan now)
    {
        while (_recent.TryPeek(out var oldest) && now - oldest.At >= Window)
        {
            _recent.Dequeue();
            _tokens[oldest.Replica] -= oldest.Tokens;
            _all -= oldest.Tokens;
        }
    }
}
