namespace Skein.Routing.Balancing;

/// <summary>
/// Counts how often keys occurred recently, and remembers the replica that each was sent to last, in bounded memory: rare keys give way to others (after
/// Metwally et al., Efficient Computation of Frequent and Top-k Elements in Data Streams, 2005). Old occurrences count less. Not thread-safe.
/// </summary>
internal sealed class FrequentKeys
{
    private const int Ways = 4;
    private const int Sets = 4096;
    private const int HalveAfter = 4096;

    private readonly Entry[] _entries = new Entry[Sets * Ways];

    /// <summary>Requests counted, the old ones less.</summary>
    public int Total { get; private set; }

    /// <summary>How often a key occurred, and <see cref="Fleet.Replica.NameHash"/> of its last replica; zeros if it is not known.</summary>
    public (int Count, ulong Home) Find(ulong key)
    {
        foreach (ref readonly var entry in SetOf(key))
        {
            if (entry.Key == key && entry.Home != 0)
                return (entry.Count, entry.Home);
        }
        return default;
    }

    /// <summary>A request with some keys came; <see cref="Add"/> follows for each of them.</summary>
    public void BeginRequest()
    {
        if (++Total < HalveAfter)
            return;
        Total /= 2;
        foreach (ref var entry in _entries.AsSpan())
            entry.Count /= 2;
    }

    public void Add(ulong key, ulong home)
    {
        var set = SetOf(key);
        var rarest = 0;
        for (var i = 0; i < set.Length; i++)
        {
            if (set[i].Key == key && set[i].Home != 0)
            {
                set[i].Count++;
                set[i].Home = home;
                return;
            }
            if (set[i].Count < set[rarest].Count)
                rarest = i;
        }
        // Unlike in the paper it does not inherit the other's count: a key must never count as frequent that is not.
        set[rarest] = new Entry { Key = key, Count = 1, Home = home };
    }

    private Span<Entry> SetOf(ulong key) => _entries.AsSpan((int)(SeededRandomSource.Mix(key) % Sets) * Ways, Ways);

    private struct Entry
    {
        public ulong Key;
        public ulong Home;
        public int Count;
    }
}
