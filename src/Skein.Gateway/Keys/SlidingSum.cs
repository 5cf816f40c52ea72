namespace Skein.Gateway.Keys;

/// <summary>
/// What was used within a window of time that ends now. Amounts of the same sixtieth of a window are one, as old as the newest of them. Not thread-safe.
/// </summary>
internal sealed class SlidingSum(TimeSpan window)
{
    private const int Parts = 60;

    // A window touches one part more than it has; the new one comes before the oldest is gone.
    private readonly (double Amount, TimeSpan At)[] _amounts = new (double, TimeSpan)[Parts + 2];
    private readonly TimeSpan _part = window / Parts;
    private int _oldest;
    private int _count;

    public double Total { get; private set; }

    public void Add(double amount, TimeSpan now)
    {
        SlideTo(now);
        if (_count == 0 || PartOf(At(_count - 1).At) != PartOf(now))
        {
            _count++;
            At(_count - 1) = default;
        }
        ref var newest = ref At(_count - 1);
        newest = (newest.Amount + amount, now);
        Total += amount;
    }

    /// <summary>Forgets what is as old as the window.</summary>
    public void SlideTo(TimeSpan now)
    {
        var before = _count;
        for (; _count > 0 && now - At(0).At >= window; _count--)
            _oldest = (_oldest + 1) % _amounts.Length;
        if (_count == before)
            return;
        // Summed anew: differences would leave an error behind, which grows.
        Total = 0;
        for (var i = 0; i < _count; i++)
            Total += At(i).Amount;
    }

    /// <summary>Time until the total is at most <paramref name="most"/>, if nothing is added; zero if it is. At most the window.</summary>
    public TimeSpan WaitUntil(double most, TimeSpan now)
    {
        SlideTo(now);
        var left = Total;
        for (var i = 0; i < _count && left > most; i++)
        {
            left -= At(i).Amount;
            if (left <= most || i == _count - 1)
                return At(i).At + window - now;
        }
        return TimeSpan.Zero;
    }

    private ref (double Amount, TimeSpan At) At(int index) => ref _amounts[(_oldest + index) % _amounts.Length];

    private long PartOf(TimeSpan time) => time.Ticks / _part.Ticks;
}
