using Skein.Gateway.Upstreams;
using Skein.Engines;
using Skein.Protocol;

namespace Skein.Gateway.Tests.Upstreams;

public class UpstreamChecksTests
{
    private readonly UpstreamChecks _checks = new(engineTimeout: TimeSpan.FromSeconds(2));

    [Theory]
    [InlineData(Fault.Unreachable)]
    [InlineData(Fault.ModelNotFound)]
    public void Failed_ServerCannotServe_IsGoneAtOnceBusyOrNot(Fault error)
    {
        Assert.True(_checks.Failed(error, isBusy: false));
        Assert.True(_checks.Failed(error, isBusy: true));
    }

    [Theory]
    [InlineData(Fault.EngineTimedOut, false)]
    [InlineData(Fault.EngineFailed, false)]
    [InlineData(Fault.EngineFailed, true)]
    public void Failed_TwiceInARow_IsGone(Fault error, bool isBusy)
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
            Assert.False(_checks.Failed(Fault.EngineTimedOut, isBusy: true));

        Assert.False(_checks.Failed(Fault.EngineTimedOut, isBusy: false));
        Assert.True(_checks.Failed(Fault.EngineTimedOut, isBusy: false));
    }

    [Fact]
    public void Failed_ThisProcessDidNotRun_IsNotTheServersTimeout()
    {
        for (var check = 0; check < 10; check++)
            Assert.False(_checks.Failed(Fault.EngineTimedOut, isBusy: false, wasLate: true));
    }

    [Theory]
    [InlineData(0.3, 5)]
    [InlineData(5, 5)]
    [InlineData(60, 60)]
    public void CheckTimeout_OfTheEngine_IsNeverUndercut(double ofTheEngine, double expected) =>
        Assert.Equal(TimeSpan.FromSeconds(expected), new UpstreamChecks(TimeSpan.FromSeconds(ofTheEngine)).CheckTimeout);
}
