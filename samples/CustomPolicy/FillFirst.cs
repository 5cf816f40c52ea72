using Skein.Routing.Balancing;

namespace CustomPolicy;

/// <summary>
/// Fills the replicas one after the other, in the order of their names, so that the last ones stay idle under little load and can be switched off.
/// </summary>
public sealed class FillFirst : IBalancingPolicy
{
    /// <inheritdoc/>
    public string Name => "fill-first";

    /// <inheritdoc/>
    public int Pick(in PickContext context)
    {
        var best = 0;
        for (var i = 1; i < context.Candidates.Length; i++)
        {
            if (string.CompareOrdinal(context.Candidates[i].Replica.Id.Name, context.Candidates[best].Replica.Id.Name) < 0)
                best = i;
        }
        return best;
    }
}
