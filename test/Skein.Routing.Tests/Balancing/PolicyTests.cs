using Skein.Routing.Balancing;
using Skein.Routing.Fleet;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Balancing;

public sealed class PolicyTests
{
    private static readonly BalancingPolicies Policies = new(BalancingPolicies.BuiltIn);

    [Theory]
    [InlineData(new[] { 3.0, 1.0, 2.0 }, new[] { 1.0, 1.0, 1.0 }, 1)]
    [InlineData(new[] { 3.0, 3.0, 3.0 }, new[] { 1.0, 2.0, 1.5 }, 1)]
    [InlineData(new[] { 0.0, 5.0 }, new[] { 1.0, 10.0 }, 1)]
    [InlineData(new[] { 0.0, 19.5 }, new[] { 0.1, 2.0 }, 0)]
    public void WeightedLeastConnections_PicksTheLowestScore(double[] loads, double[] weights, int expected)
    {
        BalancingCandidate[] candidates = [.. loads.Zip(weights, (load, weight) => new BalancingCandidate(new Replica(Replica("r", weight: weight)), load))];
        Assert.Equal(expected, Policies.Get(BalancingPolicies.Default).Pick(candidates, new SeededRandomSource(3)));
    }

    [Fact]
    public void WeightedLeastConnections_Ties_AreBrokenEvenly()
    {
        BalancingCandidate[] candidates = [.. Enumerable.Range(0, 4).Select(_ => new BalancingCandidate(new Replica(Replica("r")), 1))];
        var random = new SeededRandomSource(5);
        var hits = new int[4];
        for (var i = 0; i < 40_000; i++)
            hits[Policies.Get(BalancingPolicies.Default).Pick(candidates, random)]++;
        Assert.All(hits, count => Assert.InRange(count, 9_500, 10_500));
    }

    [Fact]
    public void PowerOfTwoChoices_NeverPicksTheWorstOfThree()
    {
        BalancingCandidate[] candidates = [.. new[] { 1.0, 9.0, 2.0 }.Select(load => new BalancingCandidate(new Replica(Replica("r")), load))];
        var random = new SeededRandomSource(5);
        for (var i = 0; i < 1_000; i++)
            Assert.NotEqual(1, Policies.Get("power-of-two-choices").Pick(candidates, random));
    }

    [Fact]
    public void Get_UnknownName_SaysWhichAreKnown()
    {
        var error = Assert.Throws<ArgumentException>(() => Policies.Get("fastest"));
        Assert.StartsWith("balancing policy 'fastest' is unknown; known are power-of-two-choices, weighted-least-connections", error.Message, StringComparison.Ordinal);
    }
}
