using Microsoft.Extensions.Time.Testing;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Routing.Tests.Streaming;

public sealed class AttemptWatchTests : IDisposable
{
    private static readonly StreamingOptions Options = new();
    private readonly FakeTimeProvider _time = new();
    private readonly ReplicaPace _pace = new();
    private readonly CancellationTokenSource _attempt = new();

    [Fact]
    public void Stall_OneLongGapAmongMany_DoesNotRaiseTheBound()
    {
        using AttemptWatch watch = Begin();
        Speak(watch, TimeSpan.FromMilliseconds(20), 300);
        Speak(watch, TimeSpan.FromSeconds(3), 1);
        Speak(watch, TimeSpan.FromMilliseconds(20), 300);

        Assert.Equal(TimeSpan.FromSeconds(5), SilenceUntilStall(watch));
        Assert.Equal(FaultReason.EngineStall, watch.Stall);
    }

    [Fact]
    public void Stall_FirstTokensOnAReplicaKnownToBeSlow_HasItsBoundAndNotTheLeast()
    {
        using (AttemptWatch before = Begin())
            Speak(before, TimeSpan.FromSeconds(1), 50);
        using AttemptWatch watch = Begin();
        Speak(watch, TimeSpan.FromSeconds(1), 1);

        Assert.InRange(SilenceUntilStall(watch), TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(12.5));
    }

    [Theory]
    [InlineData(false, 0.9)]
    [InlineData(true, 5)]
    public void Stall_NoSignOfLife_ReplicaInThisProcessIsGivenTheEnginesTime(bool inProcess, double seconds)
    {
        using AttemptWatch watch = Begin(inProcess);

        Assert.Equal(TimeSpan.FromSeconds(seconds), TimeUntilStall(watch, TimeSpan.FromMilliseconds(100), _time.Advance));
        Assert.Equal(FaultReason.LinkStall, watch.Stall);
    }

    [Fact]
    public void Beat_InMidStream_AllocatesNothing()
    {
        using AttemptWatch watch = Begin();
        watch.Beat(1);
        watch.Beat(1);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 10_000; i++)
            watch.Beat(1);

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    public void Dispose() => _attempt.Dispose();

    private AttemptWatch Begin(bool inProcess = false) => new(_time, Options, _attempt, _pace, inProcess);

    private void Speak(AttemptWatch watch, TimeSpan gap, int frames)
    {
        for (; frames > 0; frames--)
        {
            Live(watch, gap);
            watch.Beat(1);
        }
    }

    /// <summary>Heartbeats, and no token.</summary>
    private void Live(AttemptWatch watch, TimeSpan duration)
    {
        for (TimeSpan step; duration > TimeSpan.Zero; duration -= step)
        {
            step = duration < TimeSpan.FromMilliseconds(250) ? duration : TimeSpan.FromMilliseconds(250);
            _time.Advance(step);
            watch.Beat(0);
        }
    }

    private TimeSpan SilenceUntilStall(AttemptWatch watch) =>
        TimeUntilStall(watch, TimeSpan.FromMilliseconds(250), step => Live(watch, step));

    private static TimeSpan TimeUntilStall(AttemptWatch watch, TimeSpan step, Action<TimeSpan> pass)
    {
        TimeSpan passed = TimeSpan.Zero;
        for (; watch.Stall is null && passed < TimeSpan.FromMinutes(2); passed += step)
            pass(step);
        return passed;
    }
}
