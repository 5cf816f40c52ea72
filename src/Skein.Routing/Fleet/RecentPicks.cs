namespace Skein.Routing.Fleet;

/// <summary>How many requests a replica was given within about a minute. Used under the admission lock.</summary>
internal sealed class RecentPicks
{
    private const int Buckets = 12;
    private static readonly long BucketTicks = TimeSpan.FromSeconds(5).Ticks;

    private readonly int[] _counts = new int[Buckets];
    private long _newest;
    private int _total;

    public void Add(TimeSpan now)
    {
        Advance(now);
        _counts[_newest % Buckets]++;
        _total++;
    }

    /// <summary>Those of the last 55 to 60 s.</summary>
    public int CountAt(TimeSpan now)
    {
        if (_total > 0)
            Advance(now);
        return _total;
    }

    private void Advance(TimeSpan now)
    {
        var bucket = now.Ticks / BucketTicks;
        if (bucket - _newest >= Buckets)
        {
            Array.Clear(_counts);
            (_total, _newest) = (0, bucket);
        }
        while (_newest < bucket)
        {
            ref var oldest = ref _counts[++_newest % Buckets];
            _total -= oldest;
            oldest = 0;
        }
    }
}
