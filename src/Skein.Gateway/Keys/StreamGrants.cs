namespace Skein.Gateway.Keys;

/// <summary>
/// Divides the requests that a key may run at the same time between the gateways. Only the gateway whose name is first divides, so that two never give away
/// the same one: what a gateway has to give back is granted to another one when it reports that it holds it no more. Not thread-safe.
/// </summary>
internal sealed class StreamGrants
{
    /// <summary>A gateway uses what it has read within one exchange, and its report may be older than that.</summary>
    private const int RoundsUntilUsed = 2;

    /// <summary>Demand halves with each second: below this, a gateway has not been asked for a while.</summary>
    private const double LeastDemand = 0.5;

    /// <summary>What was granted in the last rounds, the newest first.</summary>
    private readonly List<Dictionary<string, int>> _granted = [];

    /// <summary>One round.</summary>
    /// <param name="limit">Of all gateways together.</param>
    /// <param name="holders">All gateways, ordered by name.</param>
    /// <returns>By name, how many requests each may run; together at most <paramref name="limit"/> once all have read it.</returns>
    public Dictionary<string, int> Divide(int limit, IReadOnlyList<StreamHolder> holders)
    {
        var targets = Targets(limit, holders);
        var counted = holders.Select(holder => Math.Max(holder.Held, MostGranted(holder.Name))).ToArray();
        // A gateway that has just become the first does not know yet what the one before it has granted.
        var free = _granted.Count < RoundsUntilUsed ? 0 : Math.Max(0, limit - counted.Sum());
        var granted = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var i = 0; i < holders.Count; i++)
        {
            var more = Math.Clamp(targets[i] - counted[i], 0, free);
            free -= more;
            granted[holders[i].Name] = (int)Math.Min(targets[i], counted[i] + more);
        }
        _granted.Insert(0, granted);
        if (_granted.Count > RoundsUntilUsed)
            _granted.RemoveAt(RoundsUntilUsed);
        return granted;
    }

    /// <summary>What runs, and of the rest a part by demand. What does not divide goes to those with demand, in the order of their names.</summary>
    private static long[] Targets(int limit, IReadOnlyList<StreamHolder> holders)
    {
        var demand = holders.Sum(holder => holder.Demand);
        var free = Math.Max(0, limit - holders.Sum(holder => holder.Running));
        long[] targets =
        [
            .. holders.Select(holder => holder.Running + (long)(free * KeyShare.Of(holder.Demand, demand - holder.Demand, holders.Count))),
        ];
        var left = limit - targets.Sum();
        int[] wanting = [.. Enumerable.Range(0, holders.Count).Where(i => holders[i].Demand >= LeastDemand)];
        for (var i = 0; left > 0; i++, left--)
            targets[wanting.Length > 0 ? wanting[i % wanting.Length] : i % targets.Length]++;
        return targets;
    }

    private int MostGranted(string name) => _granted.Count == 0 ? 0 : _granted.Max(round => round.GetValueOrDefault(name));
}

/// <summary>What one gateway does with the concurrent requests of a key.</summary>
/// <param name="Running">Requests now.</param>
/// <param name="Held">Requests that it may run; not less than <paramref name="Running"/>.</param>
/// <param name="Demand">Requests that were asked for lately.</param>
internal readonly record struct StreamHolder(string Name, long Running, long Held, double Demand);

/// <summary>The live gateways.</summary>
/// <param name="Names">Ordered.</param>
/// <param name="Index">Of this gateway.</param>
internal sealed record GatewayNames(IReadOnlyList<string> Names, int Index)
{
    public static GatewayNames Alone { get; } = new([""], 0);

    public int Count => Names.Count;

    public string Self => Names[Index];

    public bool IsFirst => Index == 0;

    /// <param name="others">The names of the other gateways.</param>
    public static GatewayNames Of(string self, IEnumerable<string> others)
    {
        List<string> names = [.. others.Append(self).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        return new GatewayNames(names, names.IndexOf(self));
    }

    /// <summary>Part of a whole number that the gateway has as long as nobody has divided it otherwise. All parts are the number.</summary>
    public int PartOf(int whole, int index) => (whole / Count) + (index < whole % Count ? 1 : 0);
}
