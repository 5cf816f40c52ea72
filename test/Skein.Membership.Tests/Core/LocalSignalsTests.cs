using Skein.Membership.Transport;

namespace Skein.Membership.Tests.Core;

public sealed class LocalSignalsTests
{
    private static readonly TimeSpan Wait = TimeSpan.FromMilliseconds(700);

    /// <summary>The work item waits 700 ms for a pool thread, by the clock of the test.</summary>
    [Fact]
    public async Task Measure_WorkWaitsForAThread_TellsHowLong()
    {
        var time = new HeldClock();
        var reported = new TaskCompletionSource<TimeSpan>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var signals = new LocalSignals(reported.SetResult, time);

        time.Fire();

        var delay = await reported.Task.WaitAsync(TimeSpan.FromSeconds(60), TimeProvider.System, TestContext.Current.CancellationToken);
        Assert.InRange(delay, Wait, TimeSpan.MaxValue);
    }

    [Fact]
    public async Task Measure_CollectorStoppedAllThreads_TellsAtLeastThat()
    {
        var time = new HeldClock { Step = TimeSpan.Zero };
        var reported = new TaskCompletionSource<TimeSpan>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var signals = new LocalSignals(reported.SetResult, time);
        var before = GC.GetTotalPauseDuration();
        GC.Collect();
        var paused = GC.GetTotalPauseDuration() - before;

        time.Fire();

        var delay = await reported.Task.WaitAsync(TimeSpan.FromSeconds(60), TimeProvider.System, TestContext.Current.CancellationToken);
        Assert.True(paused > TimeSpan.Zero);
        Assert.InRange(delay, paused, TimeSpan.MaxValue);
    }

    /// <summary>Each read advances this clock by a step.</summary>
    private sealed class HeldClock : TimeProvider
    {
        private TimerCallback _callback = static _ => { };
        private object? _state;
        private long _ticks = 1;

        public TimeSpan Step { get; init; } = Wait;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public void Fire() => _callback(_state);

        public override long GetTimestamp() => Interlocked.Add(ref _ticks, Step.Ticks);

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            (_callback, _state) = (callback, state);
            return System.CreateTimer(static _ => { }, null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
    }
}
