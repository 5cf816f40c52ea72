using Skein.Simulation.Lab;
using Skein.Simulation.Traces;

namespace Skein.Simulation.Tests.Lab;

/// <summary>Guards the figures of docs/balancing.md for replicas of speeds 1, 2 and 4 at 80 % load, on a short synthetic trace of the same kind.</summary>
public sealed class BalancingFiguresTests
{
    /// <summary>Prompts and answers as long as those of the Azure conversations.</summary>
    private static readonly IReadOnlyList<TraceRequest> Trace = new SyntheticTrace
    {
        Duration = TimeSpan.FromSeconds(100), Rate = 20, Turns = 1, SystemTokens = 0, TurnTokens = 1000, AnswerTokens = 210, Seed = 7,
    }.Generate();

    [Theory]
    [InlineData(1, 1.1, 1.25)]
    [InlineData(4, 1.2, 1.4)]
    public void WeightedLeastConnections_UnequalReplicas_IsCloseToTheOracle(int gateways, double mostMean, double mostP99)
    {
        var figures = Run(Unequal with { Gateways = gateways, Policies = ["oracle", "weighted-least-connections", "round-robin"] });
        (var oracle, var weighted, var roundRobin) = (figures[0], figures[1], figures[2]);

        Assert.InRange(weighted.SlowdownMean, 1, mostMean * oracle.SlowdownMean);
        Assert.InRange(weighted.SlowdownP99, 1, mostP99 * oracle.SlowdownP99);
        // The setting separates the policies: one that ignores the speeds is far outside of these bounds.
        Assert.InRange(roundRobin.SlowdownP99, 2 * mostP99 * oracle.SlowdownP99, double.PositiveInfinity);
    }

    [Theory]
    [InlineData(1, 1.2)]
    // Each of four gateways learns from a quarter of the requests: in this short trace, learning takes much of the time.
    [InlineData(4, 1.4)]
    public void MeasuredWeights_NothingConfigured_AreNearlyAsGoodAsTheTrueSpeeds(int gateways, double mostP99)
    {
        var settings = Unequal with { Gateways = gateways };
        var speeds = Run(settings)[0];
        var equal = Run(settings with { Weights = [1] })[0];
        var measured = Run(settings with { Weights = [1], MeasuredWeights = true })[0];

        Assert.InRange(measured.SlowdownMean, 1, 1.05 * speeds.SlowdownMean);
        Assert.InRange(measured.SlowdownP99, 1, mostP99 * speeds.SlowdownP99);
        Assert.InRange(equal.SlowdownP99, 1.6 * speeds.SlowdownP99, double.PositiveInfinity);
    }

    [Fact]
    public void PrefixAffinity_Conversations_HitsNearlyAsOftenAsWithTheTrueContentOfAllCaches()
    {
        var figures = Run(new TraceLabSettings
        {
            Trace = new SyntheticTrace { Duration = TimeSpan.FromMinutes(4), Rate = 10, Seed = 3 }.Generate(),
            Policies = ["prefix-affinity", "cache-oracle", "bounded-cache-oracle"], Replicas = 8, Model = new EngineModel { CacheBlocks = 300 },
        });

        Assert.InRange(figures[0].PrefixHitRatio, 0.85 * figures[1].PrefixHitRatio, 1);
        Assert.InRange(figures[2].HotSpotWork!.Value, 0, 1.05);
    }

    private static TraceLabSettings Unequal => new()
    {
        Trace = Trace, Policies = ["weighted-least-connections"], Replicas = 3, Speeds = [1, 2, 4], Slots = [64], Load = 0.8,
        Model = new EngineModel { SequenceMs = 2 },
    };

    private static IReadOnlyList<PolicyFigures> Run(TraceLabSettings settings) => TraceLab.Run(settings).Policies;
}
