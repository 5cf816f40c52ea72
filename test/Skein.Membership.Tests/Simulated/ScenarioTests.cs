using System.Globalization;
using Skein.Simulation;
using Skein.Simulation.Membership;
using Skein.Simulation.Membership.Scenarios;

namespace Skein.Membership.Tests.Simulated;

/// <summary>The documented experiments in a reduced form: their results must hold at every commit.</summary>
public sealed class ScenarioTests
{
    [Fact]
    public void HostLost_DefaultProfile_MeetsTheGoal()
    {
        var table = Run("host-lost", members: 32, runs: 20);

        (var median, var most) = Pair(table, "last dead");
        Assert.InRange(median, 0, 4.0);
        Assert.InRange(most, 0, 8.0);
        Assert.Equal("0", Cell(table, "false deaths"));
    }

    [Fact]
    public void HostLost_FastProfile_MeetsTheGoal()
    {
        var table = MembershipScenarios.Run("host-lost", new ScenarioSettings { Members = 32, Runs = 20, Profile = "fast" });

        Assert.InRange(Pair(table, "last dead").Median, 0, 0.9);
    }

    [Fact]
    public void ProcessKilled_AnyRun_IsDeadEverywhereWithinASecond() =>
        Assert.InRange(Pair(Run("process-killed", members: 32, runs: 20), "last dead").Max, 0, 1.0);

    [Fact]
    public void Join_ATenthOfAllDatagramsLost_IsKnownToAllWithinTwoPeriods()
    {
        var table = Run("join", members: 5, runs: 300);

        Assert.Equal("10 %", Cell(table, "loss", row: 1));
        Assert.InRange(double.Parse(Cell(table, "max", row: 1), CultureInfo.InvariantCulture), 0, 2.0);
    }

    [Fact]
    public void LoadGossip_LargeGroup_IsAsFreshAndAsCheapAsTheGoal()
    {
        var table = Run("load-gossip", members: 128, runs: 1);

        Assert.InRange(double.Parse(Cell(table, "age p50"), CultureInfo.InvariantCulture), 0, 0.7);
        Assert.InRange(double.Parse(Cell(table, "age p99"), CultureInfo.InvariantCulture), 0, 1.5);
        Assert.InRange(double.Parse(Cell(table, "bytes/s"), CultureInfo.InvariantCulture), 0, 12_000);
    }

    [Fact]
    public void SlowMembers_DefaultAndFastProfile_NobodyIsDeclaredDead()
    {
        var table = Run("slow-members", members: 32, runs: 1);

        Assert.All(Enumerable.Range(0, table.Rows.Count), row => Assert.Equal("0", Cell(table, "deaths", row)));
    }

    [Fact]
    public void PacketLoss_FiveAndTwentyPercent_NobodyIsDeclaredDead()
    {
        var table = Run("loss", members: 64, runs: 1);

        Assert.All(Enumerable.Range(0, table.Rows.Count), row => Assert.Equal("0", Cell(table, "deaths", row)));
    }

    [Fact]
    public void SwimFigure3a_PlainSwim_IsWithinAFewPercentOfTheAnalysis()
    {
        var periods = double.Parse(Cell(Run("swim-3a", members: 16, runs: 300), "ours"), CultureInfo.InvariantCulture);

        Assert.InRange(periods, 1.58 * 0.87, 1.58 * 1.13);
    }

    [Fact]
    public void SwimFigure4_OrderOfTheProtocols_IsThePublishedOne()
    {
        var table = Run("swim-4", members: 17, runs: 5);
        double[] left = [.. Enumerable.Range(0, 3).Select(row => double.Parse(Cell(table, "left (mean)", row), CultureInfo.InvariantCulture))];

        Assert.True(left[0] < left[1], $"suspicion keeps {left[1]}, without it {left[0]} are left");
        Assert.Equal(17, left[2]);
    }

    [Fact]
    public void LifeguardTableFour_PartsOfLifeguard_LeaveTheirPublishedShareOfSwimsFalseDeaths()
    {
        var table = Run("lifeguard-4", members: 16, runs: 1);
        double[] deaths = [.. Enumerable.Range(0, 6).Select(row => double.Parse(Cell(table, "deaths", row), CultureInfo.InvariantCulture))];

        Assert.InRange(deaths[1] / deaths[0], 0.677 / 2, 0.8); // LHA-Probe; without local health it would be 1
        Assert.InRange(deaths[2] / deaths[0], 0, 0.06); // LHA-Suspicion
        Assert.InRange(deaths[3] / deaths[0], 0.941 / 2, 0.99); // Buddy
        Assert.InRange(deaths[4] / deaths[0], 0, 0.03); // Lifeguard
        Assert.InRange(deaths[5] / deaths[0], 0, 0.015); // ours
        Assert.Equal("0", Cell(table, "at healthy", row: 5));
    }

    [Fact]
    public void Rapid_FlipFlopAndOneWayLoss_NoHealthyMemberIsRemovedAndAFaultyOneTwiceAtTheMost()
    {
        var table = Run("rapid", members: 100, runs: 4);

        Assert.All(Enumerable.Range(0, table.Rows.Count), row => Assert.Equal("0", Cell(table, "deaths of healthy", row)));
        Assert.All(Enumerable.Range(0, table.Rows.Count), row => Assert.InRange(
            int.Parse(Cell(table, "most deaths of a faulty one", row), CultureInfo.InvariantCulture), 1, 2));
    }

    [Fact]
    public void SwimFigure2_PlainSwim_SendsTwoMessagesAPeriod()
    {
        var table = Run("swim-2", members: 28, runs: 1);

        Assert.InRange(Number(table, "ours"), 1.95, 2.05);
        Assert.InRange(Number(table, "P(< 5)"), 0.97, 1);
    }

    [Fact]
    public void SwimFigure3b_PiggybackOnly_InfectsWithinThePublishedPeriods() =>
        Assert.InRange(Number(Run("swim-3b", members: 28, runs: 5), "median"), 1, 3.5);

    [Fact]
    public void LifeguardLatency_SmallerAlpha_IsFasterByThePublishedShare()
    {
        var table = Run("lifeguard-latency", members: 64, runs: 2);
        var alpha5 = Number(table, "first");

        Assert.InRange(Number(table, "first", row: 1) / alpha5, 0.85 * 0.93, 0.85 * 1.07);
        Assert.InRange(Number(table, "first", row: 2) / alpha5, 0.57 * 0.8, 0.57 * 1.07);
    }

    [Fact]
    public void MissedRumours_OursBesideMemberlists_NobodyIsMissedForLongerThanTwoPeriods()
    {
        var table = Run("missed-rumours", members: 32, runs: 100);

        // Digests repair missed updates; memberlist waits for the next full exchange.
        Assert.Equal("2", Cell(table, "k"));
        Assert.InRange(Number(table, "memberlist misses %"), 13.5 / 2, 13.5 * 2);
        Assert.InRange(double.Parse(table.Rows[0][6], CultureInfo.InvariantCulture), 10, 120);
        Assert.All(table.Rows, static row => Assert.Equal("0", row[7]));
        Assert.All(table.Rows, static row => Assert.InRange(double.Parse(row[10], CultureInfo.InvariantCulture), 0, 2));
    }

    [Theory]
    [InlineData(5)]
    [InlineData(32)]
    public void Metadata_WithoutAndWithLoss_IsKnownToAllWithinTwoPeriods(int members)
    {
        var table = Run("metadata", members, runs: 300);

        Assert.Equal("10 %", Cell(table, "loss", row: 1));
        Assert.All(Enumerable.Range(0, 2), row => Assert.InRange(Number(table, "max", row), 0, 2));
    }

    [Theory]
    [InlineData(5, 30)]
    [InlineData(16, 15)]
    [InlineData(48, 4)]
    public void Storm_AllFaultsAtOnce_InvariantsHoldAndViewsConverge(int members, int runs) =>
        Assert.InRange(Number(Run("storm", members, runs), "max"), 0, 120);

    [Fact]
    public void WideArea_WanProfile_OnlyTheLostMemberIsDeclaredDead()
    {
        var table = Run("far-apart", members: 32, runs: 3);

        Assert.All(Enumerable.Range(0, 2), row => Assert.Equal("0", Cell(table, "deaths", row)));
    }

    [Fact]
    public void Quiet_DefaultProfile_CostsNoMoreThanTheGoal() => Assert.InRange(Number(Run("quiet", members: 32, runs: 1), "bytes/s"), 0, 85.5);

    [Fact]
    public void Beacons_ManyReplicas_AreAsFreshAndAsCheapAsTheGoal()
    {
        var table = Run("beacons", members: 16, runs: 1);

        Assert.InRange(Number(table, "age p50"), 0, 55);
        Assert.InRange(Number(table, "age p99"), 0, 120);
        Assert.InRange(Number(table, "bytes/s a pair"), 0, 512);
    }

    [Fact]
    public void Restart_HereAndElsewhere_TakesNoLongerThanAJoin()
    {
        var table = Run("restart", members: 32, runs: 20);

        Assert.All(Enumerable.Range(0, 2), row => Assert.InRange(Pair(table, "seconds", row).Max, 0, 2));
    }

    [Fact]
    public void Bootstrap_AllAtOnce_MeetsTheGoal() => Assert.InRange(Pair(Run("bootstrap", members: 32, runs: 10), "seconds").Max, 0, 0.5);

    [Fact]
    public void Partition_TenSecondsToAnHour_HealsWithinTen()
    {
        var table = Run("partition", members: 8, runs: 3);

        Assert.All(Enumerable.Range(0, 3), row => Assert.InRange(Pair(table, "healed after", row).Max, 0, 10));
    }

    [Fact]
    public void Run_BrokenInvariant_NamesTheCommandThatRepeatsIt()
    {
        var broken = new MembershipScenario("broken", "", [], static settings =>
        {
            var world = new MembershipWorld(settings.Seed, settings.Options);
            world.Start("m-0");
            world.Fail("broken");
            return [];
        });

        var failure = Assert.Throws<InvalidOperationException>(
            () => MembershipScenarios.Run(broken, new ScenarioSettings { Members = 3, Seed = 7, Profile = "fast" }));

        Assert.Contains("(seed=7, at 00:00:00, 1 members", failure.Message, StringComparison.Ordinal);
        Assert.EndsWith("skein simulate membership --scenario broken --seed 7 --members 3 --profile fast", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_MoreMembersThanAGroupTakes_IsRefused() => Assert.Contains(
        "members is 10001: allowed are 2 to 10,000",
        Assert.Throws<ArgumentException>(static () => MembershipScenarios.Run("quiet", new ScenarioSettings { Members = 10_001 })).Message, StringComparison.Ordinal);

    [Fact]
    public void Run_SameSettings_SameTable() =>
        Assert.Equal(Run("partition", members: 8, runs: 2).Render(), Run("partition", members: 8, runs: 2).Render());

    [Fact]
    public void Run_UnknownScenario_NamesItAndWhatIsAllowed()
    {
        var refusal = Assert.Throws<ArgumentException>(() => MembershipScenarios.Run("nonsense", new ScenarioSettings()));

        Assert.Contains("'nonsense'", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("host-lost", refusal.Message, StringComparison.Ordinal);
    }

    private static SimulationTable Run(string scenario, int members, int runs) =>
        MembershipScenarios.Run(scenario, new ScenarioSettings { Members = members, Runs = runs });

    private static string Cell(SimulationTable table, string column, int row = 0) => table.Rows[row][table.Columns.ToList().IndexOf(column)];

    private static double Number(SimulationTable table, string column, int row = 0) => double.Parse(Cell(table, column, row), CultureInfo.InvariantCulture);

    private static (double Median, double Max) Pair(SimulationTable table, string column, int row = 0)
    {
        var parts = Cell(table, column, row).Split(" / ");
        return (double.Parse(parts[0], CultureInfo.InvariantCulture), double.Parse(parts[1], CultureInfo.InvariantCulture));
    }
}
