using Skein.Routing.Balancing;

namespace Skein.Simulation.Lab;

/// <summary>
/// Places each request where it finishes first, given the true number of tokens that every request has left. No gateway can know that: it is what others are
/// compared with.
/// </summary>
internal sealed class OraclePolicy(LabWorld world) : IBalancingPolicy
{
    public const string PolicyName = "oracle";

    public string Name => PolicyName;

    public int Pick(in PickContext context)
    {
        var request = world.RequestOf(context.SessionKey);
        var best = 0;
        var bestAt = TimeSpan.MaxValue;
        for (var i = 0; i < context.Candidates.Length; i++)
        {
            var at = EngineOf(context.Candidates[i]).FinishOf(request);
            if (at < bestAt)
                (best, bestAt) = (i, at);
        }
        return best;
    }

    public void Used(in PickContext context, int picked) => EngineOf(context.Candidates[picked]).Expect(world.RequestOf(context.SessionKey));

    private LabEngine EngineOf(in BalancingCandidate candidate) => world.ReplicaOf(candidate.Replica.Id.Name).Engine;
}
