namespace Skein.Routing.Fleet;

/// <summary>A replica's recent speed, as measured by this gateway's attempts. Thread-safe.</summary>
internal sealed class ReplicaPace
{
    /// <summary>Times to the first token that are needed before their percentile counts.</summary>
    internal const int EnoughFirstTokens = 8;

    /// <summary>Frames after a pause from which the average no longer shows the time before it.</summary>
    private const int EnoughFrames = 20;

    private const int KeptFirstTokens = 64;
    private const double Smoothing = 0.05;
    private const int Kilobyte = 1024;

    /// <summary>Age of a frame after which it says nothing of how fast the replica is now.</summary>
    private static readonly TimeSpan Recent = TimeSpan.FromSeconds(3);

    /// <summary>Assumed before the first measurement: about 500 tokens a second.</summary>
    private static readonly TimeSpan AssumedPerKilobyte = TimeSpan.FromMilliseconds(500);

    private readonly Lock _gate = new();
    private readonly TimeSpan[] _firstTokens = new TimeSpan[KeptFirstTokens];
    private int _firstTokenCount;
    private readonly RecentTimes _gaps = new();
    private readonly RecentTimes _perKilobyte = new();
    private double _gapTicks;
    private long _frameAtTicks;
    private int _framesInARow;

    /// <summary>Recent times from dispatch to the first token, on the queue's clock.</summary>
    public PeakLatency PeakFirstToken { get; } = new();

    /// <summary>
    /// 95th percentile of the last times from dispatch to the first token; null while there are too few. Exact, because a histogram of 64 is too coarse.
    /// </summary>
    public TimeSpan? FirstTokenP95
    {
        get
        {
            lock (_gate)
            {
                var count = Math.Min(_firstTokenCount, KeptFirstTokens);
                if (count < EnoughFirstTokens)
                    return null;
                Span<TimeSpan> sorted = stackalloc TimeSpan[count];
                _firstTokens.AsSpan(0, count).CopyTo(sorted);
                sorted.Sort();
                return sorted[((count * 95) + 99) / 100 - 1];
            }
        }
    }

    /// <summary>Moving average of the time per token, all attempts together; zero while unknown.</summary>
    public TimeSpan TokenGap => TimeSpan.FromTicks((long)Volatile.Read(ref _gapTicks));

    /// <summary><see cref="TokenGap"/>, if it says how fast the replica is now: many frames without a pause, the last one a moment ago. Else null.</summary>
    /// <param name="now">On the clock of <see cref="Frame"/>.</param>
    public TimeSpan? TokenGapNow(TimeSpan now) =>
        Volatile.Read(ref _framesInARow) >= EnoughFrames && now.Ticks - Volatile.Read(ref _frameAtTicks) <= Recent.Ticks ? TokenGap : null;

    /// <summary>99th percentile of the last times between two frames with tokens, all attempts together; zero while there were none.</summary>
    public TimeSpan FrameGapP99 => _gaps.P99;

    /// <summary>Prefill time at the rate of the slowest recent prompts: an upper bound, because short prompts also wait for other things.</summary>
    public TimeSpan SlowPrefill(int promptBytes)
    {
        var measured = _perKilobyte.P99;
        return (measured > TimeSpan.Zero ? measured : AssumedPerKilobyte) * Kilobytes(promptBytes);
    }

    /// <param name="promptBytes">Size of the prompt and the resumed journal.</param>
    public void Prefill(TimeSpan wait, int promptBytes) => _perKilobyte.Add(wait / Kilobytes(promptBytes));

    /// <param name="now">On the queue's clock.</param>
    public void FirstToken(TimeSpan afterDispatch, TimeSpan now)
    {
        lock (_gate)
        {
            _firstTokens[_firstTokenCount++ % KeptFirstTokens] = afterDispatch;
            PeakFirstToken.Add(afterDispatch, now);
        }
    }

    // Attempts that write at the same time may lose a sample, which does not matter to an average.
    public void Frame(TimeSpan gap, TimeSpan perToken, TimeSpan now)
    {
        var isAfterPause = now.Ticks - Volatile.Read(ref _frameAtTicks) > Recent.Ticks;
        Volatile.Write(ref _framesInARow, isAfterPause ? 1 : Math.Min(_framesInARow + 1, EnoughFrames));
        Volatile.Write(ref _frameAtTicks, now.Ticks);
        _gaps.Add(gap);
        var before = Volatile.Read(ref _gapTicks);
        Volatile.Write(ref _gapTicks, before == 0 ? perToken.Ticks : before + (Smoothing * (perToken.Ticks - before)));
    }

    // The wait of a short prompt does not depend on its length.
    private static double Kilobytes(int bytes) => Math.Max(1, (double)bytes / Kilobyte);
}
