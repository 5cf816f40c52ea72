using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>
/// Watches one attempt for silence. Recording a frame costs one timestamp. Frames are recorded by one thread at a time; the timer may fire on another.
/// </summary>
internal sealed class AttemptWatch : IDisposable
{
    private const double Smoothing = 0.2;

    private readonly TimeProvider _time;
    private readonly StreamingOptions _options;
    private readonly CancellationTokenSource _attempt;
    private readonly ReplicaPace _pace;
    private readonly ProcessLateness? _lateness;
    private readonly bool _linkCanBreak;
    private readonly TimeSpan _linkSilence;
    private readonly int _promptBytes;
    private readonly bool _isStandby;
    private readonly long _began;
    private readonly ITimer _timer;
    private long _lastFrame;
    private long _lateAtLastFrame;
    private long _lastLife;
    private long _lateAtLastLife;
    private long _lastToken;
    private double _gapTicks;
    private long _dueAt;
    private int _tokens;
    private bool _excused;
    private volatile bool _paused;
    private volatile int _stall = -1;

    /// <summary>Cancels <paramref name="attempt"/> when it stalls. On a link that cannot break, only the engine's silence is bounded.</summary>
    /// <param name="lateness">Time that is left out of every silence, because this process did not run; null: none.</param>
    public AttemptWatch(
        TimeProvider time, StreamingOptions options, CancellationTokenSource attempt, ReplicaPace pace, GenerateRequest request, bool linkCanBreak,
        ProcessLateness? lateness = null)
    {
        _lateness = lateness;
        _pace = pace;
        (_linkCanBreak, _linkSilence) = (linkCanBreak, linkCanBreak ? options.LinkSilence : options.EngineSilence);
        _time = time;
        _options = options;
        _attempt = attempt;
        _promptBytes = request.CalculateSize();
        _isStandby = request.Hold;
        _began = _lastFrame = _lastLife = _lastToken = time.GetTimestamp();
        _lateAtLastFrame = _lateAtLastLife = LateTicks;
        _timer = time.CreateTimer(_ => OnTimer(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        Arm(_linkSilence);
    }

    /// <summary>The bound that was exceeded; null while none was.</summary>
    public Fault? Stall => _stall < 0 ? null : (Fault)_stall;

    public TimeSpan Age => _time.GetElapsedTime(_began);

    /// <summary>When the last token came, as a timestamp; the begin of the attempt before the first.</summary>
    public long LastTokenAt => _lastToken;

    /// <summary>Moving average of the time per token of this attempt; zero while unknown.</summary>
    public TimeSpan TokenGap => TimeSpan.FromTicks((long)_gapTicks);

    private long LateTicks => _lateness?.Ended.Ticks ?? 0;

    /// <param name="tokens">Tokens in it; 0 for a heartbeat.</param>
    /// <param name="engineAlive">The engine sent something, though no token.</param>
    public void Beat(uint tokens, bool engineAlive = false)
    {
        var now = _time.GetTimestamp();
        var late = LateTicks;
        SetFrame(now, late);
        if (tokens > 0 || engineAlive)
            SetLife(now, late);
        if (tokens == 0)
            return;
        if (_tokens++ > 0)
        {
            var gap = _time.GetElapsedTime(_lastToken, now);
            var perToken = gap / tokens;
            _gapTicks = _gapTicks == 0 ? perToken.Ticks : _gapTicks + (Smoothing * (perToken.Ticks - _gapTicks));
            _pace.Frame(gap, perToken, _time.GetElapsedTime(0, now));
        }
        else if (!_isStandby)
        {
            _pace.Prefill(_time.GetElapsedTime(_began, now), _promptBytes);
        }
        _lastToken = now;
    }

    /// <summary>The gateway stops reading for a while, so the replica's silence does not count.</summary>
    public void Pause() => _paused = true;

    public void Resume()
    {
        var now = _time.GetTimestamp();
        var late = LateTicks;
        SetFrame(now, late);
        SetLife(now, late);
        _lastToken = now;
        _paused = false;
    }

    public void Dispose() => _timer.Dispose();

    private void OnTimer()
    {
        var now = _time.GetTimestamp();
        var late = !_excused && _time.GetElapsedTime(Volatile.Read(ref _dueAt), now) > _options.OwnLateness;
        if (_paused || late)
        {
            // This process was late: frames may wait unread in a buffer. One more round, but only one: time that it did not run is left out below.
            _excused = late;
            Arm(_linkSilence);
            return;
        }
        _excused = false;
        var totalLate = _lateness?.Total.Ticks ?? 0;
        var linkLeft = _linkCanBreak ? _linkSilence - Silence(ref _lastFrame, ref _lateAtLastFrame, now, totalLate) : _linkSilence;
        var engineSilence = Silence(ref _lastLife, ref _lateAtLastLife, now, totalLate);
        var engineLeft = EngineBound(engineSilence) - engineSilence;
        if (linkLeft > TimeSpan.Zero && engineLeft > TimeSpan.Zero)
        {
            Arm(linkLeft < engineLeft ? linkLeft : engineLeft);
            return;
        }
        _stall = (int)(linkLeft <= TimeSpan.Zero ? Fault.LinkStall : Fault.EngineStall);
        _attempt.CancelUnlessDisposed();
    }

    // The time is written before the lateness, and read after it: a reader in between sees too little silence, not too much.
    private void SetFrame(long now, long late)
    {
        Volatile.Write(ref _lastFrame, now);
        Volatile.Write(ref _lateAtLastFrame, late);
    }

    private void SetLife(long now, long late)
    {
        Volatile.Write(ref _lastLife, now);
        Volatile.Write(ref _lateAtLastLife, late);
    }

    /// <summary>Time since a sign of life, without the time in which this process did not run.</summary>
    private TimeSpan Silence(ref long at, ref long lateAt, long now, long totalLate)
    {
        var late = TimeSpan.FromTicks(totalLate - Volatile.Read(ref lateAt));
        return _time.GetElapsedTime(Volatile.Read(ref at), now) - late;
    }

    // The percentiles are costly, and needed only when the minimum has passed.
    private TimeSpan EngineBound(TimeSpan silence)
    {
        var minimum = _tokens == 0 ? _options.FirstTokenSilence : _options.EngineSilence;
        if (silence < minimum)
            return minimum;
        var usual = _tokens == 0 ? _pace.SlowPrefill(_promptBytes) : _pace.FrameGapP99;
        var bySpeed = usual * _options.EngineSilenceFactor;
        return bySpeed < minimum ? minimum : bySpeed < StreamingOptions.LongestSilence ? bySpeed : StreamingOptions.LongestSilence;
    }

    private void Arm(TimeSpan due)
    {
        Volatile.Write(ref _dueAt, _time.GetTimestamp() + (long)(due.TotalSeconds * _time.TimestampFrequency));
        try
        {
            _timer.Change(due, Timeout.InfiniteTimeSpan);
        }
        catch (ObjectDisposedException)
        {
            // Disposed while the timer fired.
        }
    }
}
