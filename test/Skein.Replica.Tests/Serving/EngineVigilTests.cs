using Skein.Replica.Serving;

namespace Skein.Replica.Tests.Serving;

public class EngineVigilTests
{
    private readonly EngineVigil _vigil = new();

    [Fact]
    public void Tick_NoSignOfLife_AsksThreeTimesThenGivesUp() =>
        Assert.Equal([VigilStep.Ask, VigilStep.Ask, VigilStep.Ask, VigilStep.GiveUp], Ticks(4));

    [Fact]
    public void Tick_SignOfLifeAfterTheLastQuestion_BeginsAnew()
    {
        Ticks(3);
        _vigil.Spoke();

        Assert.Equal([VigilStep.Rest, VigilStep.Ask, VigilStep.Ask, VigilStep.Ask, VigilStep.GiveUp], Ticks(5));
    }

    [Fact]
    public void Tick_NothingRuns_AsksNothingAndForgets()
    {
        Ticks(3);

        Assert.Equal(VigilStep.Rest, _vigil.Tick(isBusy: false));
        Assert.Equal([VigilStep.Ask, VigilStep.Ask, VigilStep.Ask, VigilStep.GiveUp], Ticks(4));
    }

    private List<VigilStep> Ticks(int count) => [.. Enumerable.Range(0, count).Select(_ => _vigil.Tick(isBusy: true))];
}
