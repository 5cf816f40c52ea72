namespace Skein.Membership.Transport;

/// <summary>Measures once a second how long work waits for a pool thread, and how long the garbage collector paused all threads.</summary>
internal sealed class LocalSignals : IDisposable, IThreadPoolWorkItem
{
    private readonly Action<TimeSpan> _report;
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private long _asked;
    private TimeSpan _paused = GC.GetTotalPauseDuration();
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    public LocalSignals(Action<TimeSpan> report, TimeProvider time)
    {
        (_report, _time) = (report, time);
        _timer = time.CreateTimer(static self => ((LocalSignals)self!).Measure(), this, Interval, Interval);
    }

    public void Dispose() => _timer.Dispose();

    private void Measure()
    {
        // If the previous work item still waits for a thread, it will measure the whole delay.
        if (Interlocked.CompareExchange(ref _asked, _time.GetTimestamp(), 0) == 0)
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    void IThreadPoolWorkItem.Execute()
    {
        var waited = _time.GetElapsedTime(Interlocked.Exchange(ref _asked, 0));
        var paused = GC.GetTotalPauseDuration();
        var pause = paused - _paused;
        _paused = paused;
        _report(waited > pause ? waited : pause);
    }
}
