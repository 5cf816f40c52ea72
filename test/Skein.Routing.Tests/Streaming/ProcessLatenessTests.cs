using Microsoft.Extensions.Time.Testing;
using Skein.Protocol;

namespace Skein.Routing.Tests.Streaming;

public sealed class ProcessLatenessTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void Total_TicksInTime_IsZero()
    {
        using var lateness = new ProcessLateness(_time, TimeSpan.FromMilliseconds(200));
        for (var i = 0; i < 100; i++)
            _time.Advance(TimeSpan.FromMilliseconds(90));

        Assert.Equal((0, TimeSpan.Zero), (lateness.Stalls, lateness.Total));
    }

    [Fact]
    public void Total_ProcessDidNotRun_IsTheTimeThatIsMissing()
    {
        using var lateness = new ProcessLateness(_time, TimeSpan.FromMilliseconds(200));
        _time.Advance(TimeSpan.FromMilliseconds(100));
        _time.Advance(TimeSpan.FromSeconds(10));
        _time.Advance(TimeSpan.FromMilliseconds(100));

        Assert.Equal((1, TimeSpan.FromSeconds(9.9)), (lateness.Stalls, lateness.Total));
    }
}
