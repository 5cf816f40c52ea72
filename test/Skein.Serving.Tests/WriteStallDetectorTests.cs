using Microsoft.Extensions.Time.Testing;
using Skein.Serving.Grpc;

namespace Skein.Serving.Tests;

public class WriteStallDetectorTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly WriteStallDetector _watch;

    public WriteStallDetectorTests() => _watch = new WriteStallDetector(_time, TimeSpan.FromSeconds(30));

    [Fact]
    public void Tick_NothingWritten_IsQuietFromTheSecondOn()
    {
        Assert.Equal([Silence.None, Silence.Quiet, Silence.Quiet], [_watch.Tick(), _watch.Tick(), _watch.Tick()]);
    }

    [Fact]
    public void Tick_AfterAWrite_CountsFromItsEnd()
    {
        _watch.Tick();
        _watch.WriteBegins();
        _watch.WriteEnds();

        Assert.Equal([Silence.None, Silence.Quiet], [_watch.Tick(), _watch.Tick()]);
    }

    [Fact]
    public void Tick_WriteUnderWay_IsNeverQuietAndStuckBeyondItsTimeout()
    {
        _watch.WriteBegins();
        for (var i = 0; i < 30; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            Assert.Equal(Silence.None, _watch.Tick());
        }

        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(Silence.Stuck, _watch.Tick());
        _watch.WriteEnds();
        Assert.Equal(Silence.None, _watch.Tick());
    }
}
