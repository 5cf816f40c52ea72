using Skein.Routing.Balancing;

namespace Skein.Simulation.Lab;

/// <summary>Rendezvous hashing of the first prefix, whatever the load: nearly the most hits that can be had, and the worst hot spots.</summary>
internal sealed class PlainPrefixHashing : IBalancingPolicy
{
    public const string PolicyName = "plain-prefix-hashing";

    public string Name => PolicyName;

    public bool UsesPrefixes => true;

    public int Pick(in PickContext context)
    {
        var key = context.PrefixHashes.IsEmpty ? 0 : context.PrefixHashes[0];
        var best = 0;
        ulong bestRank = 0;
        for (var i = 0; i < context.Candidates.Length; i++)
        {
            ulong name = 0;
            foreach (var character in context.Candidates[i].Replica.Id.Name)
                name = SeededRandomSource.Mix(name ^ character);
            var rank = SeededRandomSource.Mix(key ^ name);
            if (rank >= bestRank)
                (best, bestRank) = (i, rank);
        }
        return best;
    }
}
