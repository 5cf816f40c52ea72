using Microsoft.Extensions.Time.Testing;
using Skein.Engines.OpenAi.Wire;

namespace Skein.Engines.Tests.OpenAi;

/// <summary>A frozen server told from a slow one.</summary>
public sealed class PulseTests
{
    private readonly FakeTimeProvider _time = new();
    private int _asked;

    [Fact]
    public void Watch_EventsCome_ServerIsNeverAsked()
    {
        using var pulse = new Pulse(_ => Answer(), _time);
        using var stream = pulse.Watch();

        for (var i = 0; i < 20; i++)
        {
            _time.Advance(Pulse.Quiet / 2);
            pulse.Beat();
        }

        Assert.Equal((0, false), (_asked, stream.Frozen.IsCancellationRequested));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Watch_NoEventButAnAnswerOrARefusal_StreamGoesOn(bool answers)
    {
        using var pulse = new Pulse(_ => answers ? Answer() : Refuse(), _time);
        using var stream = pulse.Watch();

        for (var i = 0; i < 20; i++)
        {
            _time.Advance(Pulse.Quiet);
        }

        Assert.Equal((20, false), (_asked, stream.Frozen.IsCancellationRequested));
    }

    [Fact]
    public void Watch_NoAnswerInTime_StreamsThatBeganBeforeAreGivenUp()
    {
        using var pulse = new Pulse(SilenceAsync, _time);
        using var stream = pulse.Watch();

        _time.Advance(Pulse.Quiet);
        _time.Advance(Pulse.Patience - TimeSpan.FromMilliseconds(1));
        using var newcomer = pulse.Watch();
        Assert.False(stream.Frozen.IsCancellationRequested);
        _time.Advance(TimeSpan.FromMilliseconds(1));

        Assert.Equal((1, true, false), (_asked, stream.Frozen.IsCancellationRequested, newcomer.Frozen.IsCancellationRequested));
        _time.Advance(Pulse.Quiet);
        _time.Advance(Pulse.Patience);
        Assert.True(newcomer.Frozen.IsCancellationRequested);
    }

    [Fact]
    public void Watch_EventWhileItIsAsked_StreamGoesOn()
    {
        using var pulse = new Pulse(SilenceAsync, _time);
        using var stream = pulse.Watch();

        _time.Advance(Pulse.Quiet);
        _time.Advance(Pulse.Patience / 2);
        pulse.Beat();
        _time.Advance(Pulse.Patience / 2);

        Assert.Equal((1, false), (_asked, stream.Frozen.IsCancellationRequested));
    }

    [Fact]
    public void Watch_ThisProcessStoodStill_StreamGoesOn()
    {
        using var pulse = new Pulse(SilenceAsync, _time);
        using var stream = pulse.Watch();

        _time.Advance(Pulse.Quiet);
        // Timers fire when the process runs again, at the time that it is then.
        _time.Advance(Pulse.Patience + TimeSpan.FromMilliseconds(300));

        Assert.Equal((1, false), (_asked, stream.Frozen.IsCancellationRequested));
    }

    [Fact]
    public void Dispose_LastStream_NothingIsAskedAnyMore()
    {
        using var pulse = new Pulse(_ => Answer(), _time);
        var stream = pulse.Watch();
        _time.Advance(Pulse.Quiet);

        stream.Dispose();
        for (var i = 0; i < 5; i++)
        {
            _time.Advance(Pulse.Quiet);
        }

        // What was on its way when it ended, and no more; the next stream is watched again.
        Assert.InRange(_asked, 1, 2);
        var before = _asked;
        using var next = pulse.Watch();
        _time.Advance(Pulse.Quiet);
        Assert.Equal(before + 1, _asked);
    }

    private Task Answer()
    {
        _asked++;
        return Task.CompletedTask;
    }

    private Task Refuse()
    {
        _asked++;
        return Task.FromException(new HttpRequestException("refused"));
    }

    private Task SilenceAsync(CancellationToken cancellationToken)
    {
        _asked++;
        // Ends at once when told to, on the thread that moves the time.
        var silence = new TaskCompletionSource();
        cancellationToken.Register(() => silence.TrySetCanceled(cancellationToken));
        return silence.Task;
    }
}
