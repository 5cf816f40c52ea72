using Skein.Gateway.Upstreams;
using Skein.Engines;

namespace Skein.Gateway.Tests.Upstreams;

public class UpstreamChecksTests
{
    private readonly UpstreamChecks _checks = new(engineTimeout: TimeSpan.FromSeconds(2));

    [Theory]
    [InlineData(EngineError.Unreachable)]
    [InlineData(EngineError.ModelNotFound)]
    public void Failed_ServerCannotServe_IsGoneAtOnceBusyOrNot(EngineError error)
    {
        Assert.True(_checks.Failed(error, isBusy: false));
        Assert.True(_checks.Failed(error, isBusy: true));
    }

    [Theory]
    [InlineData(EngineError.TimedOut, false)]
    [InlineData(EngineError.Failed, false)]
    [InlineData(EngineError.Failed, true)]
    public void Failed_TwiceInARow_IsGone(EngineError error, bool isBusy)
    {
        Assert.False(_checks.Failed(error, isBusy));
        _checks.Passed();

        Assert.False(_checks.Failed(error, isBusy));
        Assert.True(_checks.Failed(error, isBusy));
    }

    [Fact]
    public void Failed_SilentWhileRequestsRun_IsLeftToTheirWatch()
    {
        for (var check = 0; check < 10; check++)
            Assert.False(_checks.Failed(EngineError.TimedOut, isBusy: true));

        Assert.False(_checks.Failed(EngineError.TimedOut, isBusy: false));
        Assert.True(_checks.Failed(EngineError.TimedOut, isBusy: false));
    }

    [Theory]
    [InlineData(0.3, 5)]
    [InlineData(5, 5)]
    [InlineData(60, 60)]
    public void CheckTimeout_OfTheEngine_IsNeverUndercut(double ofTheEngine, double expected) =>
        Assert.Equal(TimeSpan.FromSeconds(expected), new UpstreamChecks(TimeSpan.FromSeconds(ofTheEngine)).CheckTimeout);
}
