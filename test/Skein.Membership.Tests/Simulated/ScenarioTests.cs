using System.Globalization;
using Skein.Simulation;
using Skein.Simulation.Membership;

namespace Skein.Membership.Tests.Simulated;

/// <summary>The documented experiments in a reduced form: what they promise must hold at every commit.</summary>
public sealed class ScenarioTests
{
    [Fact]
    public void HostLost_DefaultProfile_MeetsTheGoal()
    {
        SimulationTable table = Run("host-lost", members: 32, runs: 20);

        (double median, double most) = Pair(table, "last dead");
        Assert.InRange(median, 0, 4.0);
        Assert.InRange(most, 0, 8.0);
        Assert.Equal("0", Cell(table, "false deaths"));
    }

    [Fact]
    public void HostLost_FastProfile_MeetsTheGoal()
    {
        SimulationTable table = MembershipScenarios.Run("host-lost", new ScenarioSettings { Members = 32, Runs = 20, Profile = "fast" });

        Assert.InRange(Pair(table, "last dead").Median, 0, 0.9);
    }

    [Fact]
    public void ProcessKilled_AnyRun_IsDeadEverywhereWithinASecond() =>
        Assert.InRange(Pair(Run("process-killed", members: 32, runs: 20), "last dead").Max, 0, 1.0);

    [Fact]
    public void Join_ATenthOfAllDatagramsLost_IsKnownToAllWithinTwoPeriods()
    {
        SimulationTable table = Run("join", members: 5, runs: 300);

        Assert.Equal("10 %", Cell(table, "loss", row: 1));
        Assert.InRange(double.Parse(Cell(table, "max", row: 1), CultureInfo.InvariantCulture), 0, 2.0);
    }

    [Fact]
    public void LoadGossip_LargeGroup_IsAsFreshAndAsCheapAsTheGoal()
    {
        SimulationTable table = Run("load-gossip", members: 128, runs: 1);

        Assert.InRange(double.Parse(Cell(table, "age p50"), CultureInfo.InvariantCulture), 0, 0.7);
        Assert.InRange(double.Parse(Cell(table, "age p99"), CultureInfo.InvariantCulture), 0, 1.5);
        Assert.InRange(double.Parse(Cell(table, "bytes/s"), CultureInfo.InvariantCulture), 0, 12_000);
    }

    [Fact]
    public void SlowMembers_DefaultAndFastProfile_NobodyIsDeclaredDead()
    {
        SimulationTable table = Run("slow-members", members: 32, runs: 1);

        Assert.All(Enumerable.Range(0, table.Rows.Count), row => Assert.Equal("0", Cell(table, "deaths", row)));
    }

    [Fact]
    public void PacketLoss_FiveAndTwentyPercent_NobodyIsDeclaredDead()
    {
        SimulationTable table = Run("loss", members: 64, runs: 1);

        Assert.All(Enumerable.Range(0, table.Rows.Count), row => Assert.Equal("0", Cell(table, "deaths", row)));
    }

    [Fact]
    public void SwimFigure3a_PlainSwim_IsWithinAFewPercentOfTheAnalysis()
    {
        double periods = double.Parse(Cell(Run("swim-3a", members: 16, runs: 300), "ours"), CultureInfo.InvariantCulture);

        Assert.InRange(periods, 1.58 * 0.87, 1.58 * 1.13);
    }

    [Fact]
    public void SwimFigure4_OrderOfTheProtocols_IsThePublishedOne()
    {
        SimulationTable table = Run("swim-4", members: 17, runs: 5);
        double[] left = [.. Enumerable.Range(0, 3).Select(row => double.Parse(Cell(table, "left (mean)", row), CultureInfo.InvariantCulture))];

        Assert.True(left[0] < left[1], $"suspicion keeps {left[1]}, without it {left[0]} are left");
        Assert.Equal(17, left[2]);
    }

    [Fact]
    public void LifeguardTableFour_PartsOfLifeguard_LeaveTheirPublishedShareOfSwimsFalseDeaths()
    {
        SimulationTable table = Run("lifeguard-4", members: 16, runs: 1);
        double[] deaths = [.. Enumerable.Range(0, 6).Select(row => double.Parse(Cell(table, "deaths", row), CultureInfo.InvariantCulture))];

        Assert.InRange(deaths[1] / deaths[0], 0.677 / 2, 1); // LHA-Probe
        Assert.InRange(deaths[2] / deaths[0], 0, 0.06); // LHA-Suspicion
        Assert.InRange(deaths[4] / deaths[0], 0, 0.03); // all of it
        Assert.InRange(deaths[5] / deaths[0], 0, 0.015); // ours
        Assert.Equal("0", Cell(table, "at healthy", row: 5));
    }

    [Fact]
    public void Rapid_FlipFlopAndOneWayLoss_NoHealthyMemberIsRemovedAndAFaultyOneTwiceAtTheMost()
    {
        SimulationTable table = Run("rapid", members: 100, runs: 4);

        Assert.All(Enumerable.Range(0, table.Rows.Count), row => Assert.Equal("0", Cell(table, "deaths of healthy", row)));
        Assert.All(Enumerable.Range(0, table.Rows.Count), row => Assert.InRange(
            int.Parse(Cell(table, "most deaths of a faulty one", row), CultureInfo.InvariantCulture), 1, 2));
    }

    [Fact]
    public void Run_SameSettings_SameTable() =>
        Assert.Equal(Run("partition", members: 8, runs: 2).Render(), Run("partition", members: 8, runs: 2).Render());

    [Fact]
    public void Run_UnknownScenario_NamesItAndWhatIsAllowed()
    {
        ArgumentException refusal = Assert.Throws<ArgumentException>(() => MembershipScenarios.Run("nonsense", new ScenarioSettings()));

        Assert.Contains("'nonsense'", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("host-lost", refusal.Message, StringComparison.Ordinal);
    }

    private static SimulationTable Run(string scenario, int members, int runs) =>
        MembershipScenarios.Run(scenario, new ScenarioSettings { Members = members, Runs = runs });

    private static string Cell(SimulationTable table, string column, int row = 0) => table.Rows[row][table.Columns.ToList().IndexOf(column)];

    private static (double Median, double Max) Pair(SimulationTable table, string column)
    {
        string[] parts = Cell(table, column).Split(" / ");
        return (double.Parse(parts[0], CultureInfo.InvariantCulture), double.Parse(parts[1], CultureInfo.InvariantCulture));
    }
}
