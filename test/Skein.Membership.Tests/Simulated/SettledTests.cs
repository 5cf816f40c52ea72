using Skein.Membership.Core;
using Skein.Simulation.Membership;

namespace Skein.Membership.Tests.Simulated;

/// <summary>Groups that are complete from the start, for experiments with many members.</summary>
public sealed class SettledTests
{
    [Fact]
    public void StartSettled_ManyMembers_AgreeAtOnceAndStayAtRest()
    {
        var world = Settled(300);
        Assert.True(world.Agree(), "the views differ");

        world.RunFor(TimeSpan.FromSeconds(30));

        Assert.True(world.Agree(), "the views differ later");
        Assert.All(world.Members, static member => Assert.DoesNotContain(member.Events, static e => e.What != CoreEvent.Activated));
    }

    [Fact]
    public void StartSettled_OneCrashes_IsDeadEverywhere()
    {
        var world = Settled(300);
        world.Members[7].HostLost = true;

        Assert.True(world.RunUntil(world.Agree, TimeSpan.FromSeconds(10)), "somebody does not know");
    }

    /// <summary>Ten thousand members are a hundred million records, which must fit into 8 GiB.</summary>
    [Fact]
    public void StartSettled_EachPairOfMembers_CostsEightyBytesAtTheMost()
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        Settled(500);
        var small = GC.GetAllocatedBytesForCurrentThread() - before;
        Settled(1000);
        var large = GC.GetAllocatedBytesForCurrentThread() - before - small;

        // The cost per member, without the cost per pair, is the same in two small groups as in the large one.
        Assert.InRange((large - 2 * small) / (1000 * 1000 - 2 * 500 * 500), 40, 80);
    }

    [Fact]
    public void Bootstrap_OfASettledGroup_IsRefused()
    {
        var error = Assert.Throws<ArgumentException>(() => MembershipScenarios.Run("bootstrap", new ScenarioSettings { Settled = true }));

        Assert.StartsWith("settled is true", error.Message, StringComparison.Ordinal);
    }

    private static MembershipWorld Settled(int members)
    {
        var world = new MembershipWorld(seed: 1, ProtocolOptions.Lan);
        world.StartSettled(members);
        return world;
    }
}
