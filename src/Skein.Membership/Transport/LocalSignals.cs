using Skein.Membership.Core;

namespace Skein.Membership.Transport;

/// <summary>
/// What the runtime tells about this process's own health, once a second: how long work waits for a thread of the pool, and how long the
/// collector stopped all threads. A late loop notices itself.
/// </summary>
internal sealed class LocalSignals : IDisposable
{
    private readonly GossipLoop _loop;
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private TimeSpan _paused = GC.GetTotalPauseDuration();
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    public LocalSignals(GossipLoop loop, TimeProvider time)
    {
        (_loop, _time) = (loop, time);
        _timer = time.CreateTimer(static self => ((LocalSignals)self!).Measure(), this, Interval, Interval);
    }

    public void Dispose() => _timer.Dispose();

    private void Measure()
    {
        TimeSpan paused = GC.GetTotalPauseDuration();
        TimeSpan pause = paused - _paused;
        _paused = paused;
        ThreadPool.UnsafeQueueUserWorkItem(static self => self.Signals.Report(self.Queued, self.Pause), new Waiting(this, _time.GetTimestamp(), pause), preferLocal: false);
    }

    private void Report(long queued, TimeSpan pause)
    {
        TimeSpan waited = _time.GetElapsedTime(queued);
        TimeSpan delay = waited > pause ? waited : pause;
        _loop.Post((core, now) => core.NoteDelay(delay, now));
    }

    private readonly record struct Waiting(LocalSignals Signals, long Queued, TimeSpan Pause);
}
