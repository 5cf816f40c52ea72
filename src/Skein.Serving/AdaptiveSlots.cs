namespace Skein.Serving;

/// <summary>
/// Decides how many requests run at the same time on an engine that does not report its own limit. Begins at <see cref="Initial"/>. Grows while all slots
/// are in use, the engine's queue is empty and the time per token holds. Shrinks while the engine's queue stays filled. Without a report of the queue, it
/// grows only after first tokens were measured, and shrinks when the time to them grows with the number of running requests. No clock: time is an input.
/// Not thread-safe.
/// </summary>
internal sealed class AdaptiveSlots
{
    /// <summary>Slots before anything is known.</summary>
    public const int Initial = 64;

    /// <summary>Most slots that it grows to.</summary>
    public const int Most = 1024;

    private const double Growth = 1.25;
    private const double Shrinkage = 0.8;

    /// <summary>How many times its lowest value the time per token may reach while slots are added.</summary>
    private const double GapTolerance = 1.5;

    /// <summary>How many times the shortest wait, which was at a lower concurrency, the wait at high concurrency may reach.</summary>
    private const double WaitTolerance = 3;

    /// <summary>The lowest time per token rises by this factor per tick, so that it follows an engine that became slower for good.</summary>
    private const double GapForgetting = 1.002;

    private const double WaitSmoothing = 0.25;

    /// <summary>Ticks in a row with requests in the engine's queue after which it shrinks: prefill fills the queue for a moment.</summary>
    private const int QueuedTicks = 3;

    /// <summary>Waits that are needed to judge them.</summary>
    private const int EnoughWaits = 4;

    /// <summary>Tokens in one tick that are needed for their mean to count.</summary>
    private const int EnoughTokens = 16;

    /// <summary>Differences below it are noise.</summary>
    private static readonly TimeSpan LeastWait = TimeSpan.FromMilliseconds(200);

    /// <summary>No growth for this long after it has shrunk.</summary>
    private static readonly TimeSpan GrowthPause = TimeSpan.FromSeconds(10);

    // Mean time to the first token, in seconds, by the power of two of the concurrency; 0: none was measured.
    private readonly double[] _waits = new double[11];
    private readonly List<double> _highWaits = [];

    // First tokens of requests that began since the slots were changed.
    private int _waitsOfSlots;
    private double _lowestGap;
    private TimeSpan _gaps;
    private int _tokens;
    private int _queuedTicks;
    private TimeSpan _changedAt;
    private TimeSpan _growsFrom;

    /// <summary>The slots now.</summary>
    public int Slots { get; private set; } = Initial;

    /// <summary>Why <see cref="Slots"/> changed last, for logs.</summary>
    public string Reason { get; private set; } = "";

    /// <summary>Whether the engine ends a request when it receives another one. There is one slot then.</summary>
    public bool IsExclusive { get; private set; }

    /// <summary>An attempt received its first token.</summary>
    /// <param name="begun">When it began.</param>
    /// <param name="wait">Time from its begin to the token.</param>
    /// <param name="concurrency">Attempts that ran when it began, itself included.</param>
    public void FirstToken(TimeSpan begun, TimeSpan wait, int concurrency)
    {
        if (concurrency < 1)
            return;

        var level = LevelOf(concurrency);
        ref var mean = ref _waits[level];
        mean = mean == 0 ? wait.TotalSeconds : mean + (WaitSmoothing * (wait.TotalSeconds - mean));
        // What began under another number of slots waited in another queue.
        if (begun < _changedAt)
            return;

        _waitsOfSlots++;
        if (level > BestLevel())
            _highWaits.Add(wait.TotalSeconds);
    }

    /// <summary>Tokens after the first one were received.</summary>
    public void Tokens(TimeSpan gap, int count)
    {
        _gaps += gap;
        _tokens += count;
    }

    /// <summary>A request ended without a finish while another one, begun later, was running.</summary>
    public void Interrupted()
    {
        IsExclusive = true;
        Slots = 1;
        Reason = "a request was ended by the next one";
    }

    /// <summary>Decides anew. Called about once a second.</summary>
    /// <param name="peak">Most slots in use since the last tick.</param>
    /// <param name="waiting">Requests in the engine's queue; null: the engine does not report them.</param>
    /// <returns>Whether <see cref="Slots"/> changed.</returns>
    public bool Tick(TimeSpan now, int peak, int? waiting)
    {
        var gapsHold = GapsHold();
        _queuedTicks = waiting > 0 && peak > 0 ? _queuedTicks + 1 : 0;
        if (IsExclusive)
            return false;

        if (_queuedTicks >= QueuedTicks)
            return Shrink(now, peak, "the engine queues requests");

        // Where the engine reports its queue, waits are not compared, and must not pile up.
        if (waiting is not null)
            _highWaits.Clear();
        else if (WaitsGrow())
            return Shrink(now, peak, "the time to the first token grows with the number of requests");

        // Without a report, what the present number of slots does must have been seen.
        var isEmpty = waiting is null ? _waitsOfSlots >= EnoughWaits : waiting == 0;
        return peak >= Slots && isEmpty && gapsHold && now >= _growsFrom && Grow(now);
    }

    private bool Grow(TimeSpan now)
    {
        if (Slots == Most)
            return false;

        Change(Math.Min(Most, (int)Math.Ceiling(Slots * Growth)), now, "all slots are in use and the engine keeps its pace");
        return true;
    }

    // The excess over what runs is not used, so cutting it alone would change nothing.
    private bool Shrink(TimeSpan now, int peak, string reason)
    {
        _growsFrom = now + GrowthPause;
        _queuedTicks = 0;
        var before = Slots;
        Change(Math.Max(1, (int)(Math.Clamp(peak, 1, Slots) * Shrinkage)), now, reason);
        return Slots != before;
    }

    private void Change(int slots, TimeSpan now, string reason)
    {
        (Slots, _changedAt, Reason) = (slots, now, reason);
        _highWaits.Clear();
        _waitsOfSlots = 0;
    }

    private bool GapsHold()
    {
        if (_tokens < EnoughTokens)
            return true;

        var gap = _gaps.TotalSeconds / _tokens;
        (_gaps, _tokens) = (TimeSpan.Zero, 0);
        _lowestGap = _lowestGap == 0 ? gap : Math.Min(gap, _lowestGap * GapForgetting);
        return gap <= _lowestGap * GapTolerance;
    }

    private bool WaitsGrow()
    {
        if (_highWaits.Count < EnoughWaits)
            return false;

        _highWaits.Sort();
        var high = _highWaits[_highWaits.Count / 2];
        _highWaits.Clear();
        var low = _waits[BestLevel()];
        return high > low * WaitTolerance && high - low > LeastWait.TotalSeconds;
    }

    // The level of the shortest waits. It need not be the lowest one: the first request of all may have waited for the engine's start.
    private int BestLevel()
    {
        var best = 0;
        for (var level = 1; level < _waits.Length; level++)
        {
            if (_waits[level] > 0 && (_waits[best] == 0 || _waits[level] < _waits[best]))
                best = level;
        }

        return best;
    }

    private int LevelOf(int concurrency) => Math.Min(_waits.Length - 1, int.Log2(concurrency));
}
