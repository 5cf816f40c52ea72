namespace Skein.Routing.Fleet;

/// <summary>How fast a replica lately was, as its attempts here saw it. Thread-safe.</summary>
internal sealed class ReplicaPace
{
    /// <summary>First tokens needed before their quantile means anything.</summary>
    internal const int EnoughFirstTokens = 8;

    private const int KeptFirstTokens = 64;
    private const double Smoothing = 0.05;
    private const int Kilobyte = 1024;

    /// <summary>Where nothing was measured yet: some 500 tokens a second. Who judges by it multiplies it by what he allows for.</summary>
    private static readonly TimeSpan AssumedPerKilobyte = TimeSpan.FromMilliseconds(500);

    private readonly Lock _gate = new();
    private readonly TimeSpan[] _firstTokens = new TimeSpan[KeptFirstTokens];
    private int _firstTokenCount;
    private readonly RecentTimes _gaps = new();
    private readonly RecentTimes _perKilobyte = new();
    private double _gapTicks;

    /// <summary>95th percentile of the last times from dispatch to the first token; null while there are too few.</summary>
    public TimeSpan? FirstTokenP95
    {
        get
        {
            lock (_gate)
            {
                var count = Math.Min(_firstTokenCount, KeptFirstTokens);
                if (count < EnoughFirstTokens)
                    return null;
                Span<TimeSpan> sorted = stackalloc TimeSpan[KeptFirstTokens];
                sorted = sorted[..count];
                _firstTokens.AsSpan(0, count).CopyTo(sorted);
                sorted.Sort();
                return sorted[((count * 95) + 99) / 100 - 1];
            }
        }
    }

    /// <summary>Moving average of the time per token, all attempts together; zero while unknown.</summary>
    public TimeSpan TokenGap => TimeSpan.FromTicks((long)Volatile.Read(ref _gapTicks));

    /// <summary>99th percentile of the last times between two frames with tokens, all attempts together; zero while there were none.</summary>
    public TimeSpan FrameGapP99 => _gaps.P99;

    /// <summary>
    /// What the slowest prompts of late took for their length, for one of <paramref name="promptBytes"/>: an upper bound, since short ones wait for more than their
    /// reading.
    /// </summary>
    public TimeSpan SlowPrefill(int promptBytes)
    {
        var measured = _perKilobyte.P99;
        return (measured > TimeSpan.Zero ? measured : AssumedPerKilobyte) * Kilobytes(promptBytes);
    }

    /// <summary>A first token came, for a prompt (and what was resumed) of so many bytes.</summary>
    public void Prefill(TimeSpan wait, int promptBytes) => _perKilobyte.Add(wait / Kilobytes(promptBytes));

    public void FirstToken(TimeSpan afterDispatch)
    {
        lock (_gate)
            _firstTokens[_firstTokenCount++ % KeptFirstTokens] = afterDispatch;
    }

    // Attempts write at the same time and may lose each other's sample: an average does not mind.
    public void Frame(TimeSpan gap, TimeSpan perToken)
    {
        _gaps.Add(gap);
        var before = Volatile.Read(ref _gapTicks);
        Volatile.Write(ref _gapTicks, before == 0 ? perToken.Ticks : before + (Smoothing * (perToken.Ticks - before)));
    }

    // What a short prompt waits for is not its length.
    private static double Kilobytes(int bytes) => Math.Max(1, (double)bytes / Kilobyte);
}
