using Skein.Simulation.Failover;

namespace Skein.Simulation.Tests;

/// <summary>The reduced form of <c>skein simulate failover</c>.</summary>
public sealed class FailoverSimulationTests
{
    [Theory]
    [InlineData(1UL)]
    [InlineData(2UL)]
    [InlineData(3UL)]
    public void Run_FaultsOfEveryKind_EveryStreamIsWhatItWouldHaveBeen(ulong seed)
    {
        var result = FailoverSimulation.Run(new FailoverSettings { Failovers = 500, Seed = seed });

        Assert.True(result.IsClean, result.ToTable().Render());
        Assert.All(result.Faults, fault => Assert.True(fault.Count > 0, $"no {fault.Kind} happened"));
        foreach (var reason in new[] { "connection_lost", "link_stall", "engine_error", "draining", "straggler" })
            Assert.Contains(result.Failovers, failover => failover.Reason == reason);
    }

    [Fact]
    public void Run_SameSeed_ReplaysExactly()
    {
        var settings = new FailoverSettings { Failovers = 100, Seed = 5 };

        Assert.Equal(FailoverSimulation.Run(settings).TraceHash, FailoverSimulation.Run(settings).TraceHash);
        Assert.NotEqual(FailoverSimulation.Run(settings).TraceHash, FailoverSimulation.Run(settings with { Seed = 6 }).TraceHash);
    }

    [Fact]
    public void Run_SettingOutOfRange_IsRefused() =>
        Assert.Contains("failovers is 0", Assert.Throws<ArgumentException>(() => FailoverSimulation.Run(new FailoverSettings { Failovers = 0 })).Message, StringComparison.Ordinal);
}
