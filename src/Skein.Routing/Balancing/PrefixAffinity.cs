using Skein.Routing.Fleet;

namespace Skein.Routing.Balancing;

/// <summary>
/// Sends requests that begin alike to the same replica, whose KV cache then holds their prefix: rendezvous hashing (Thaler, Ravishankar, 1996) of the session
/// key or of a prefix, with bounded load (Mirrokni, Thorup, Zadimoghaddam: Consistent Hashing with Bounded Loads, 2018). Gateways pick the same replica
/// without shared state. The key is the shortest prefix that is not shared by too many requests: a system prompt that all have must not send them all to one
/// replica. A replica takes no more than its share of the load, and of the requests of the last minute, with a margin; the next one in the key's own order
/// gets the rest. New keys, of which no cache has anything, have the smaller margin, and a key that had to go elsewhere is remembered there. The bound
/// on requests keeps hot keys among others from making a hot spot. It does not hold for conversations that are the only traffic, which would only leave their
/// cache for idle replicas.
/// </summary>
internal sealed class PrefixAffinity : IBalancingPolicy
{
    /// <summary>
    /// While no replica has any load, as many conversations of a minute for each replica stay where they are: hashing spreads so few unevenly anyway.
    /// </summary>
    private const int FewWhileIdle = 4;

    /// <summary>Occurrences below which no key is frequent.</summary>
    private const int LeastFrequent = 16;

    private static readonly Bound Load = new(Factor: 1.25, Margin: 6);

    /// <summary>Requests of the last minute, of all gateways as replicas report them. A replica with more than 1.25 times its share is a hot spot.</summary>
    private static readonly Bound Recent = new(Factor: 1.18, Margin: 3);

    private static readonly Bound RecentForNewKeys = new(Factor: 1.1, Margin: 2);

    /// <summary>Beside other gateways a key that is new here may be known there: the smaller margin would send it away from its cache.</summary>
    private static readonly Bound RecentForNewKeysOfMany = new(Factor: 1.16, Margin: 2);

    private static readonly WeightedLeastConnections ByLoad = new();

    private readonly FrequentKeys _keys = new();
    private readonly RecentConversations _conversations = new();

    public string Name => "prefix-affinity";

    public bool UsesPrefixes => true;

    public IBalancingPolicy ForModel() => new PrefixAffinity();

    public int Pick(in PickContext context)
    {
        var candidates = context.Candidates;
        if (candidates.Length == 1 || KeyOf(context) is not { } key)
            return ByLoad.Pick(context);
        var bucket = RecentPicks.BucketOf(context.Now);
        double load = 1, recent = 1, weight = 0;
        var first = candidates[0].Weight;
        var (isWeighted, hasOthers) = (false, false);
        foreach (ref readonly var candidate in candidates)
        {
            load += candidate.Load;
            recent += candidate.Replica.Recent.CountAt(bucket);
            var own = candidate.Weight;
            weight += own;
            isWeighted |= own != first;
            hasOthers |= candidate.Replica.HasOthers;
        }
        var perWeight = 1 / weight;
        var conversations = _conversations.Count(context, out var homeOfConversation);
        var most = Math.Min(load <= 1 ? FewWhileIdle * context.Serving : context.Serving, RecentConversations.Most - 1);
        var stays = homeOfConversation != 0 && conversations <= most;
        var home = stays ? homeOfConversation : _keys.Find(key).Home;
        var recentBound = home != 0 ? Recent : hasOthers ? RecentForNewKeysOfMany : RecentForNewKeys;
        var best = -1;
        var bestRank = double.NegativeInfinity;
        for (var i = 0; i < candidates.Length; i++)
        {
            ref readonly var candidate = ref candidates[i];
            var isHome = candidate.Replica.NameHash == home;
            var share = candidate.Weight * perWeight;
            if (!Load.Allows(candidate.Load + 1, load * share))
                continue;
            var isSpared = candidate.Load < Load.Margin && ((isHome && stays) || conversations == 1);
            if (!isSpared && !recentBound.Allows(candidate.Replica.Recent.CountAt(bucket) + 1, recent * share))
                continue;
            if (isHome)
                return i;
            var hash = SeededRandomSource.Mix(key ^ candidate.Replica.NameHash);
            var rank = isWeighted ? WeightedRank(hash, candidate.Weight) : hash >> 1;
            if (rank > bestRank)
                (best, bestRank) = (i, rank);
        }
        return best >= 0 ? best : ByLoad.Pick(context);
    }

    public void Used(in PickContext context, int picked)
    {
        var home = context.Candidates[picked].Replica.NameHash;
        _conversations.Used(context, home);
        _keys.BeginRequest();
        if (context.SessionKey.Length > 0 && !Note(StableHash.Of(context.SessionKey), home, context.Serving))
            return;
        // Up to the key of this pick. Longer prefixes are rarer, and count only once this one is frequent.
        foreach (var prefix in context.PrefixHashes)
        {
            if (!Note(prefix, home, context.Serving))
                return;
        }
    }

    /// <summary>
    /// The highest rank wins: each replica wins its share by weight of all keys. It is weight / -log(1 - u) with the begin of the logarithm's series, which is
    /// exact enough where u is small, and only there can it win.
    /// </summary>
    private static double WeightedRank(ulong hash, double weight)
    {
        var u = ((hash >> 11) + 0.5) * (1.0 / (1L << 53));
        return weight / (u * (1 + (u * (0.5 + (u * ((1.0 / 3) + (u * 0.25)))))));
    }

    private ulong? KeyOf(in PickContext context)
    {
        ulong? key = null;
        if (context.SessionKey.Length > 0)
        {
            key = StableHash.Of(context.SessionKey);
            if (!IsFrequent(key.Value, context.Serving))
                return key;
        }
        foreach (var prefix in context.PrefixHashes)
        {
            key = prefix;
            if (!IsFrequent(prefix, context.Serving))
                break;
        }
        return key;
    }

    /// <returns>Whether it was frequent before.</returns>
    private bool Note(ulong key, ulong home, int replicas)
    {
        var isFrequent = IsFrequent(key, replicas);
        _keys.Add(key, home);
        return isFrequent;
    }

    /// <summary>The requests with this key are more than half of a replica's share.</summary>
    private bool IsFrequent(ulong key, int replicas) =>
        _keys.Find(key).Count is >= LeastFrequent and var count && (long)count * 2 * Math.Max(1, replicas) > _keys.Total;

    /// <summary>What a replica may have, relative to its share.</summary>
    private sealed record Bound(double Factor, double Margin)
    {
        public bool Allows(double value, double share) => value <= Math.Max(Factor * share, share + Margin);
    }
}
