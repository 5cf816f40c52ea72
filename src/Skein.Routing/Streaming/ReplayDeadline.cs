namespace Skein.Routing.Streaming;

/// <summary>
/// Stops an attempt that generates an answer again and does not catch up in time with what the client has. A timer, because nothing may come from it any
/// more. Thread-safe.
/// </summary>
internal sealed class ReplayDeadline : IDisposable
{
    private readonly TimeProvider _time;
    private readonly TimeSpan _longest;
    private readonly TimeSpan _ownLateness;
    private readonly CancellationTokenSource _attempt;
    private readonly ITimer _timer;
    private long _dueAt;
    private bool _excused;
    private volatile bool _isOver;

    /// <param name="longest">From <see cref="Begin"/> on.</param>
    /// <param name="ownLateness">A timer that fires later than this shows that this process did not run: what came meanwhile is read first.</param>
    /// <param name="attempt">Cancelled when the time is over.</param>
    public ReplayDeadline(TimeProvider time, TimeSpan longest, TimeSpan ownLateness, CancellationTokenSource attempt)
    {
        (_time, _longest, _ownLateness, _attempt) = (time, longest, ownLateness, attempt);
        _timer = time.CreateTimer(_ => OnTimer(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Whether the attempt was stopped.</summary>
    public bool IsOver => _isOver;

    /// <summary>The first token came.</summary>
    public void Begin() => Arm(_longest);

    public void Dispose() => _timer.Dispose();

    private void OnTimer()
    {
        var isLate = _time.GetElapsedTime(Volatile.Read(ref _dueAt)) > _ownLateness;
        if (isLate && !_excused)
        {
            _excused = true;
            Arm(_ownLateness);
            return;
        }
        _isOver = true;
        _attempt.CancelUnlessDisposed();
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
            // The attempt ended while the timer fired.
        }
    }
}
