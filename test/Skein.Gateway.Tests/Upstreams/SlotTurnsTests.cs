using Skein.Gateway.Upstreams;

namespace Skein.Gateway.Tests.Upstreams;

/// <summary>Gateways that share a server with fewer slots than there are gateways.</summary>
public sealed class SlotTurnsTests
{
    private const int Gateways = 3;
    private readonly SlotTurns _turns = new();

    [Fact]
    public void RankOf_EnoughSlotsForAll_IsTheOwnRank()
    {
        _turns.Learn(5, At(0));

        Assert.Equal([0, 1, 2], Ranks(slots: 3));
    }

    [Theory]
    [InlineData(0u, 0)]
    [InlineData(1u, 1)]
    [InlineData(2u, 2)]
    [InlineData(3u, 0)]
    public void RankOf_OneSlot_OneGatewayIsFirst(uint turn, int first)
    {
        _turns.Learn(turn, At(0));

        Assert.Equal(first, Array.IndexOf(Ranks(slots: 1), 0));
        Assert.Equal([0, 1, 2], Ranks(slots: 1).Order());
    }

    [Fact]
    public void TryPass_NobodyWaits_KeepsTheSlot()
    {
        Assert.False(Pass(rank: 0, othersWait: false, at: 10_000));

        Assert.Equal((0u, 0), (_turns.Turn, _turns.RankOf(Gateways, 0, slots: 1)));
    }

    [Fact]
    public void TryPass_OthersWaitWhileARequestRuns_TakesNoNewOneAndPassesAtItsEnd()
    {
        Assert.False(Pass(rank: 0, running: 1, at: 10_000));
        Assert.Equal((0u, 2), (_turns.Turn, _turns.RankOf(Gateways, 0, slots: 1)));

        Assert.True(Pass(rank: 0, running: 0, at: 11_000));
        Assert.Equal((1u, 2), (_turns.Turn, _turns.RankOf(Gateways, 0, slots: 1)));
        Assert.Equal(0, _turns.RankOf(Gateways, 1, slots: 1));
    }

    [Fact]
    public void TryPass_JustReceived_KeepsTheSlotForAWhile()
    {
        _turns.Learn(1, At(10_000));

        Assert.False(Pass(rank: 1, at: 10_100));
        Assert.True(Pass(rank: 1, at: 10_300));
    }

    [Fact]
    public void TryPass_AnothersTurn_DoesNothing() => Assert.False(Pass(rank: 1, at: 10_000));

    [Fact]
    public void Learn_OlderTurn_IsIgnored()
    {
        _turns.Learn(7, At(0));
        _turns.Learn(6, At(0));

        Assert.Equal(7u, _turns.Turn);
    }

    [Fact]
    public void Learn_NumberWrapsAround_TheLaterOneCounts()
    {
        _turns.Learn(int.MaxValue, At(0));
        _turns.Learn(uint.MaxValue - 1, At(0));
        _turns.Learn(3, At(0));
        _turns.Learn(uint.MaxValue, At(0));

        Assert.Equal(3u, _turns.Turn);
    }

    private static TimeSpan At(int milliseconds) => TimeSpan.FromMilliseconds(milliseconds);

    private int[] Ranks(int slots) => [.. Enumerable.Range(0, Gateways).Select(rank => _turns.RankOf(Gateways, rank, slots))];

    private bool Pass(int rank, int at, int running = 0, bool othersWait = true) =>
        _turns.TryPass(Gateways, rank, slots: 1, running, othersWait, At(at));
}
