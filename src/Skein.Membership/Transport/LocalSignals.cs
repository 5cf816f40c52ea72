using Skein.Membership.Core;

namespace Skein.Membership.Transport;

/// <summary>
/// What the runtime tells about this process's own health, once a second: how long work waits for a thread of the pool, and how long the
/// collector stopped all threads. A late loop notices itself.
/// </summary>
internal sealed class LocalSignals : IDisposable, IThreadPoolWorkItem
{
    private readonly Action<TimeSpan> _note;
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private long _asked;
    private TimeSpan _paused = GC.GetTotalPauseDuration();
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <param name="note">Takes the longest delay of each measurement; called on a thread of the pool.</param>
    /// <param name="time">Of this process.</param>
    public LocalSignals(Action<TimeSpan> note, TimeProvider time)
    {
        (_note, _time) = (note, time);
        _timer = time.CreateTimer(static self => ((LocalSignals)self!).Measure(), this, Interval, Interval);
    }

    public void Dispose() => _timer.Dispose();

    private void Measure()
    {
        // The last question is still waiting for a thread: it will tell the whole delay.
        if (Interlocked.CompareExchange(ref _asked, _time.GetTimestamp(), 0) == 0)
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    /// <summary>A thread of the pool got to the question.</summary>
    void IThreadPoolWorkItem.Execute()
    {
        var waited = _time.GetElapsedTime(Interlocked.Exchange(ref _asked, 0));
        var paused = GC.GetTotalPauseDuration();
        var pause = paused - _paused;
        _paused = paused;
        _note(waited > pause ? waited : pause);
    }
}
