using Microsoft.Extensions.Time.Testing;
using Skein.Protocol;
using Skein.Protocol.V1;
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
        using var watch = Begin();
        Speak(watch, TimeSpan.FromMilliseconds(20), 300);
        Speak(watch, TimeSpan.FromSeconds(3), 1);
        Speak(watch, TimeSpan.FromMilliseconds(20), 300);

        Assert.Equal(TimeSpan.FromSeconds(60), SilenceUntilStall(watch));
        Assert.Equal(Fault.EngineStall, watch.Stall);
    }

    [Fact]
    public void Stall_FirstTokensOnAReplicaKnownToBeSlow_HasItsBoundAndNotTheLeast()
    {
        using (var before = Begin())
            Speak(before, TimeSpan.FromSeconds(10), 50);
        using var watch = Begin();
        Speak(watch, TimeSpan.FromSeconds(10), 1);

        Assert.InRange(SilenceUntilStall(watch), TimeSpan.FromSeconds(100), TimeSpan.FromSeconds(125));
    }

    /// <summary>Alive, and no token: one that nobody has measured, and one that reads 1 KiB in 10 ms.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Stall_NoFirstTokenOfAShortPrompt_IsGivenTheLeastBound(bool isMeasured)
    {
        if (isMeasured)
            Read(Prompt(1 << 10), TimeSpan.FromMilliseconds(10));
        using var watch = Begin(Prompt(1 << 10));

        Assert.Equal(Options.FirstTokenSilence, SilenceUntilStall(watch));
        Assert.Equal(Fault.EngineStall, watch.Stall);
    }

    /// <summary>Ten times what its length takes at the pace that was seen: 100 KiB, 1 KiB of which took 0.25 s; without measure, 0.5 s is assumed.</summary>
    [Theory]
    [InlineData(true, 250)]
    [InlineData(false, 500)]
    public void Stall_NoFirstTokenOfALongPrompt_IsGivenItsLengthAtTheReplicasPace(bool isMeasured, double seconds)
    {
        if (isMeasured)
            Read(Prompt(40 << 10), TimeSpan.FromSeconds(10));
        using var watch = Begin(Prompt(100 << 10));

        Assert.InRange(SilenceUntilStall(watch).TotalSeconds, seconds, seconds * 1.26);
    }

    [Fact]
    public void Stall_NoFirstTokenOfAGiantPrompt_HasABoundAllTheSame()
    {
        using var watch = Begin(Prompt(16 << 20));

        Assert.Equal(StreamingOptions.LongestSilence, SilenceUntilStall(watch));
    }

    /// <summary>It was ready long before it was let go on: that time says nothing of its engine.</summary>
    [Fact]
    public void Stall_PaceOfAHeldAttempt_IsNoMeasure()
    {
        var held = Prompt(1 << 10);
        held.Hold = true;
        Read(held, TimeSpan.FromSeconds(100));
        using var watch = Begin(Prompt(1 << 10));

        Assert.Equal(Options.FirstTokenSilence, SilenceUntilStall(watch));
    }

    /// <summary>A link without heartbeats cannot break: only the engine's silence is bounded.</summary>
    [Theory]
    [InlineData(true, 0.9, Fault.LinkStall)]
    [InlineData(false, 120, Fault.EngineStall)]
    public void Stall_NoFrameAtAll_IsOfTheLinkWhereThatCanBreak(bool linkCanBreak, double seconds, Fault reason)
    {
        using var watch = Begin(linkCanBreak: linkCanBreak);

        Assert.Equal(TimeSpan.FromSeconds(seconds), TimeUntilStall(watch, TimeSpan.FromMilliseconds(100), _time.Advance));
        Assert.Equal(reason, watch.Stall);
    }

    /// <summary>A server that holds a tool call back, or reads another prompt, sends comments meanwhile.</summary>
    [Fact]
    public void Stall_EngineSendsCommentsButNoTokens_IsNone()
    {
        using var watch = Begin();
        watch.Beat(1);
        for (var second = 0; second < 300; second++)
        {
            Live(watch, TimeSpan.FromSeconds(1));
            watch.Beat(0, engineAlive: true);
        }
        Assert.Null(watch.Stall);

        Assert.Equal(TimeSpan.FromSeconds(60), SilenceUntilStall(watch));
    }

    /// <summary>A gateway short of processor time took its own lateness for 17 silent replicas.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    public void Stall_ThisProcessDidNotRun_BlamesNobodyAndFindsARealSilenceLater(int stalls)
    {
        using var lateness = new ProcessLateness(_time, Options.OwnLateness);
        using var watch = new AttemptWatch(_time, Options, _attempt, _pace, new GenerateRequest(), linkCanBreak: true, lateness);
        Live(watch, TimeSpan.FromSeconds(1));
        for (var i = 0; i < stalls; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(10));
            Assert.Null(watch.Stall);
            _time.Advance(TimeSpan.FromMilliseconds(100));
            Assert.Null(watch.Stall);
        }

        var found = TimeUntilStall(watch, TimeSpan.FromMilliseconds(100), _time.Advance);
        Assert.Equal(Fault.LinkStall, watch.Stall);
        Assert.InRange(found, TimeSpan.Zero, 2 * Options.LinkSilence);
    }

    [Fact]
    public void Beat_InMidStream_AllocatesNothing()
    {
        using var lateness = new ProcessLateness(_time, Options.OwnLateness);
        using var watch = new AttemptWatch(_time, Options, _attempt, _pace, new GenerateRequest(), linkCanBreak: true, lateness);
        watch.Beat(1);
        watch.Beat(1);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 10_000; i++)
            watch.Beat(1);

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    public void Dispose() => _attempt.Dispose();

    private static GenerateRequest Prompt(int bytes) => new() { Text = new string('x', bytes) };

    private AttemptWatch Begin(GenerateRequest? request = null, bool linkCanBreak = true) =>
        new(_time, Options, _attempt, _pace, request ?? new GenerateRequest(), linkCanBreak);

    private void Read(GenerateRequest request, TimeSpan time)
    {
        using var watch = Begin(request);
        Live(watch, time);
        watch.Beat(1);
    }

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
        var passed = TimeSpan.Zero;
        for (; watch.Stall is null && passed < TimeSpan.FromHours(2); passed += step)
            pass(step);
        return passed;
    }
}
