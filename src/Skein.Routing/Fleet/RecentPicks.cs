namespace Skein.Routing.Fleet;

/// <summary>How many requests a replica was given within about a minute. Used under the admission lock.</summary>
internal sealed class RecentPicks
{
    private const int Buckets = 12;
    private const int MostInBucket = 10_000_000;
    private static readonly long BucketTicks = TimeSpan.FromSeconds(5).Ticks;

    private readonly int[] _counts = new int[Buckets];
    private long _newest;
    private int _total;

    /// <summary>Number of the bucket of a time.</summary>
    public static long BucketOf(TimeSpan now) => now.Ticks / BucketTicks;

    public void Add(TimeSpan now, int requests = 1)
    {
        Advance(BucketOf(now));
        ref var newest = ref _counts[_newest % Buckets];
        requests = Math.Min(requests, MostInBucket - newest);
        newest += requests;
        _total += requests;
    }

    /// <summary>Those of the last 55 to 60 s.</summary>
    public int CountAt(long bucket)
    {
        if (_newest < bucket && _total > 0)
            Advance(bucket);
        return _total;
    }

    private void Advance(long bucket)
    {
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
