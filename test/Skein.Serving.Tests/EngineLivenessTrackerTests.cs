
namespace Skein.Serving.Tests;

public class EngineLivenessTrackerTests
{
    private readonly EngineLivenessTracker _vigil = new();

    [Fact]
    public void Tick_NoSignOfLife_AsksThreeTimesThenGivesUp() =>
        Assert.Equal([LivenessAction.Ask, LivenessAction.Ask, LivenessAction.Ask, LivenessAction.GiveUp], Ticks(4));

    [Fact]
    public void Tick_SignOfLifeAfterTheLastQuestion_BeginsAnew()
    {
        Ticks(3);
        _vigil.Spoke();

        Assert.Equal([LivenessAction.Rest, LivenessAction.Ask, LivenessAction.Ask, LivenessAction.Ask, LivenessAction.GiveUp], Ticks(5));
    }

    [Fact]
    public void Tick_NothingRuns_AsksNothingAndForgets()
    {
        Ticks(3);

        Assert.Equal(LivenessAction.Rest, _vigil.Tick(isBusy: false));
        Assert.Equal([LivenessAction.Ask, LivenessAction.Ask, LivenessAction.Ask, LivenessAction.GiveUp], Ticks(4));
    }

    private List<LivenessAction> Ticks(int count) => [.. Enumerable.Range(0, count).Select(_ => _vigil.Tick(isBusy: true))];
}
