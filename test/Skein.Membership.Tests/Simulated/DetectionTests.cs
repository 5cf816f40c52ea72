using Skein.Membership.Core;
using Skein.Simulation.Membership;

namespace Skein.Membership.Tests.Simulated;

public sealed class DetectionTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    [InlineData(32)]
    public void Start_ManyAtOnce_AllSeeAllWithinHalfASecond(int count)
    {
        var world = World(seed: (ulong)count);

        world.StartMany(count);

        Assert.True(world.RunUntil(() => world.Agree() && world.Members[0].Core.Table.LiveCount == count, Second / 2));
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    [InlineData(32)]
    public void HostLost_IsDeadEverywhereWithinFiveSeconds(int count)
    {
        var world = Settled(count, seed: 7);
        var lost = world.Members[count / 2];

        lost.HostLost = true;

        Assert.True(world.RunUntil(() => DeadEverywhere(world, lost), 5 * Second), "still not dead everywhere");
        AssertNobodyElseDied(world, lost);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    [InlineData(32)]
    public void ProcessCrashed_WatchedByTwo_IsDeadEverywhereWithin150Ms(int count)
    {
        var world = Settled(count, seed: 8);
        var crashed = world.Members[1];

        crashed.Crashed = true;

        Assert.True(world.RunUntil(() => DeadEverywhere(world, crashed), 0.15 * Second), "still not dead everywhere");
        AssertNobodyElseDied(world, crashed);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(5)]
    [InlineData(32)]
    public void ProcessCrashed_UnwatchedButProbedByOneMember_IsDeadEverywhereWithinASecond(int count)
    {
        var world = Settled(count, seed: 8, ProtocolOptions.Lan with { MonitorConnections = false });
        var crashed = world.Members[1];

        crashed.Crashed = true;
        world.Do(world.Members[0], (core, now) => core.ProbeNow(crashed.Id, now));

        Assert.True(world.RunUntil(() => DeadEverywhere(world, crashed), Second), "still not dead everywhere");
        AssertNobodyElseDied(world, crashed);
    }

    [Fact]
    public void IndirectProbe_DirectPathBlocked_KeepsBothAlive()
    {
        var world = Settled(5, seed: 9);
        world.Link = world.Link with { Streams = false };
        (var a, var b) = (world.Members[1], world.Members[2]);
        world.Passes = (from, to) => !((from == a && to == b) || (from == b && to == a));

        world.RunFor(60 * Second);

        Assert.All(world.Members, member => Assert.DoesNotContain(member.Events, e => e.What is CoreEvent.Suspected or CoreEvent.Died));
    }

    [Fact]
    public void Pause_ShorterThanTheWindow_IsRefutedAndNobodyDies()
    {
        var world = Settled(5, seed: 10);
        world.Members[2].RunsFrom = world.Now + 2 * Second;

        world.RunFor(20 * Second);

        Assert.All(world.Members, member => Assert.DoesNotContain(member.Events, e => e.What == CoreEvent.Died));
        Assert.True(world.Agree());
    }

    [Fact]
    public void Leave_OthersSeeLeftAtOnceAndNobodyIsSuspected()
    {
        var world = Settled(5, seed: 11);
        var leaver = world.Members[3];

        world.Do(leaver, (core, now) => core.Leave(now));
        world.RunFor(Second / 2);

        Assert.Equal(CorePhase.Ended, leaver.Core.Phase);
        Assert.All(world.Running, member => Assert.Equal(MemberState.Left, member.StateOf(leaver.Name)));
        world.RunFor(10 * Second);
        Assert.All(world.Members, member => Assert.DoesNotContain(member.Events, e => e.What is CoreEvent.Suspected or CoreEvent.Died));
    }

    [Fact]
    public void Partition_LongerThanEverything_HealsWithinTenSeconds()
    {
        var world = Settled(8, seed: 12);
        world.Passes = static (from, to) => (from.Index < 3) == (to.Index < 3);
        world.RunFor(TimeSpan.FromMinutes(10));
        Assert.Equal(3, world.Members[0].Core.Table.LiveCount);
        Assert.Equal(5, world.Members[7].Core.Table.LiveCount);

        world.Passes = static (_, _) => true;

        Assert.True(world.RunUntil(world.Agree, 10 * Second), "views still differ");
    }

    [Fact]
    public void SameSeed_SameTrace()
    {
        var first = Trace(seed: 42);

        Assert.Equal(first, Trace(seed: 42));
        Assert.NotEqual(first, Trace(seed: 43));
    }

    private static ulong Trace(ulong seed)
    {
        var world = Settled(8, seed);
        world.Link = world.Link with { LossPermille = 100, DuplicatePermille = 50 };
        world.Members[2].HostLost = true;
        world.RunFor(20 * Second);
        return world.TraceHash;
    }

    private static MembershipWorld World(ulong seed) => new(seed, ProtocolOptions.Lan);

    private static MembershipWorld Settled(int count, ulong seed, ProtocolOptions? options = null)
    {
        var world = new MembershipWorld(seed, options ?? ProtocolOptions.Lan);
        world.StartMany(count);
        world.RunFor(3 * Second);
        Assert.True(world.Agree(), "the group did not form");
        return world;
    }

    private static bool DeadEverywhere(MembershipWorld world, SimulatedMember gone) =>
        world.Running.All(member => member.StateOf(gone.Name) == MemberState.Dead);

    private static void AssertNobodyElseDied(MembershipWorld world, SimulatedMember gone) =>
        Assert.All(world.Members, member => Assert.DoesNotContain(member.Events, e => e.What == CoreEvent.Died && e.About != gone.Name));
}
