using Skein.Cli.Terminal;

namespace Skein.Cli.Tests.Terminal;

public sealed class StopSignalTests
{
    [Fact]
    public void SecondSignal_StopsAtOnce()
    {
        using var signal = new StopSignal(supervised: false);

        signal.Signalled();
        Assert.Equal((true, false), (signal.Stop.IsCancellationRequested, signal.AtOnce.IsCancellationRequested));
        signal.Signalled();
        Assert.True(signal.AtOnce.IsCancellationRequested);
    }

    [Fact]
    public void SignalAfterARequest_StopsAtOnce()
    {
        using var signal = new StopSignal(supervised: false);

        signal.Request();
        signal.Request();
        Assert.Equal((true, false), (signal.Stop.IsCancellationRequested, signal.AtOnce.IsCancellationRequested));
        signal.Signalled();
        Assert.True(signal.AtOnce.IsCancellationRequested);
    }

    /// <summary>A service manager signals a member and its supervisor at the same time: streams of a member that heard of both broke.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void SupervisorStopsAndOneSignal_InAnyOrder_StreamsMayFinish(bool isSignalFirst)
    {
        using var signal = new StopSignal(supervised: false);

        if (isSignalFirst)
            signal.Signalled();
        signal.SupervisorStops();
        if (!isSignalFirst)
            signal.Signalled();

        Assert.Equal((true, false), (signal.Stop.IsCancellationRequested, signal.AtOnce.IsCancellationRequested));
        signal.Signalled();
        Assert.True(signal.AtOnce.IsCancellationRequested);
    }
}
