using Skein.Membership.Core;
using Skein.Simulation.Membership;

namespace Skein.Membership.Tests.Simulated;

/// <summary>A flapping member stays dead for a while; no other member waits.</summary>
public sealed class FlapTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    /// <summary>From this length on a silence counts as isolation (<c>CoreState.IsolationThreshold</c>).</summary>
    private static readonly TimeSpan Deafness = ProtocolOptions.Lan.SuspicionMin * 2;

    /// <summary>Group sizes, and seeds of their worlds.</summary>
    public static TheoryData<int, ulong> Groups { get; } = new(
        from members in new[] { 3, 5, 12 } from seed in Enumerable.Range(1, 8) select (members, (ulong)seed));

    [Theory]
    [MemberData(nameof(Groups))]
    public void CutOffAlone_FirstTime_ReturnsWithinTenSeconds(int members, ulong seed)
    {
        var world = Form(members, seed);

        CutOffUntilDead(world, world.Members[2]);

        Assert.True(world.RunUntil(world.Agree, 10 * Second), "it did not return");
        world.RunFor(10 * Second);
        Assert.True(world.Agree(), "it returned and went again: an accusation of before its return counted as a second cut");
    }

    [Theory]
    [MemberData(nameof(Groups))]
    public void Isolated_SecondTime_ReturnsAfterTheDelayAndNotBefore(int members, ulong seed)
    {
        var world = Form(members, seed);
        var flapping = world.Members[2];
        CutOffUntilDead(world, flapping);
        Assert.True(world.RunUntil(world.Agree, 10 * Second), "it did not return the first time");

        CutOffUntilDead(world, flapping);
        var healed = world.Now;

        Assert.False(world.RunUntil(world.Agree, world.Options.ReturnDelay - Second), $"it waited {world.Now - healed} only");
        Assert.Equal(MemberState.Dead, flapping.Core.Table.Self.State);
        Assert.True(world.RunUntil(world.Agree, 15 * Second), $"it is still out {world.Now - healed} after the repair");
    }

    [Theory]
    [MemberData(nameof(Groups))]
    public void CutOffAlone_SecondTimeLongAfter_ReturnsWithinTenSeconds(int members, ulong seed)
    {
        var world = Form(members, seed);
        CutOffUntilDead(world, world.Members[2]);
        world.RunFor(world.Options.FlapMemory + 30 * Second);

        CutOffUntilDead(world, world.Members[2]);

        Assert.True(world.RunUntil(world.Agree, 10 * Second), "it did not return");
    }

    [Theory]
    [MemberData(nameof(Groups))]
    public void Held_RestartsUnderItsName_IsBackWithinTwoPeriods(int members, ulong seed)
    {
        var world = Form(members, seed);
        var flapping = world.Members[2];
        CutOffUntilDead(world, flapping);
        Assert.True(world.RunUntil(world.Agree, 10 * Second), "it did not return the first time");
        CutOffUntilDead(world, flapping);
        world.RunFor(5 * Second);
        Assert.Equal(MemberState.Dead, flapping.Core.Table.Self.State);
        flapping.Crashed = true;

        var next = world.Start(flapping.Name, at: flapping, world.Members[0]);

        Assert.True(
            world.RunUntil(() => next.Core.Phase == CorePhase.Active && world.Agree(), 2 * world.Options.ProbePeriod), "the new generation is not seen");
    }

    /// <summary>A firewall answered connections by a reset while datagrams passed: 11 flaps in 25 s.</summary>
    [Theory]
    [MemberData(nameof(Groups))]
    public void ConnectionsRefusedWhileDatagramsPass_NobodyIsSuspectedOrDead(int members, ulong seed)
    {
        var world = Form(members, seed);

        world.Members[1].RefusesStreams = true;
        world.RunFor(60 * Second);

        Assert.All(world.Members, viewer => Assert.DoesNotContain(viewer.Events, e => e.What is CoreEvent.Died or CoreEvent.Suspected));
        Assert.True(world.Agree());
    }

    /// <summary>A slow process answers later than its host refuses the connection.</summary>
    [Theory]
    [MemberData(nameof(Groups))]
    public void ConnectionsRefusedBeforeASlowProcess_GoesAtMostOnce(int members, ulong seed)
    {
        var world = Form(members, seed);
        var slow = world.Members[1];
        slow.HandlingTime = TimeSpan.FromMilliseconds(30);

        slow.RefusesStreams = true;
        world.RunFor(60 * Second);

        Assert.All(world.Members, viewer => Assert.InRange(viewer.Events.Count(e => e.What == CoreEvent.Died), 0, 1));
        Assert.All(world.Members, viewer => Assert.DoesNotContain(viewer.Events, e => e.What is CoreEvent.Died or CoreEvent.Suspected && e.At > 15 * Second));
        Assert.True(world.Agree());
    }

    [Theory]
    [InlineData(3)]
    [InlineData(6)]
    public void Partition_ThreeTimesInTwoMinutes_HealsWithinTenSecondsEachTime(int border)
    {
        for (ulong seed = 1; seed <= 8; seed++)
        {
            var world = Form(12, seed);
            for (var cut = 0; cut < 3; cut++)
            {
                world.Passes = (from, to) => from.Index < border == to.Index < border;
                world.RunFor(30 * Second);
                world.Passes = static (_, _) => true;

                Assert.True(world.RunUntil(world.Agree, 10 * Second), $"cut {cut + 1} of seed {seed} has not healed");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Groups))]
    public void FaultyMember_RepeatedlyDeclaresOthersDead_TheyStay(int members, ulong seed)
    {
        var world = Form(members, seed);
        var sick = world.Members[^1];
        for (var cut = 0; cut < 4; cut++)
        {
            CutOffUntilDead(world, sick);
            world.RunFor(45 * Second);
        }

        Assert.All(world.Members, viewer => Assert.DoesNotContain(
            viewer.Events, e => viewer != sick && e.What == CoreEvent.Died && e.About != sick.Name));
    }

    private static MembershipWorld Form(int count, ulong seed)
    {
        var world = new MembershipWorld(seed, ProtocolOptions.Lan);
        world.StartMany(count);
        world.RunFor(3 * Second);
        Assert.True(world.Agree(), "the group did not form");
        return world;
    }

    private static void CutOff(MembershipWorld world, SimulatedMember member) => world.Passes = (from, to) => from != member && to != member;

    /// <summary>Some members declare deaths before the silence counts as isolation, so the partition lasts longer than that.</summary>
    private static void CutOffUntilDead(MembershipWorld world, SimulatedMember member)
    {
        var heardTo = world.Now + Deafness;
        CutOff(world, member);
        var died = world.RunUntil(
            () => world.Now > heardTo && world.Members.TrueForAll(other => other == member || other.StateOf(member.Name) == MemberState.Dead), 60 * Second);
        world.Passes = static (_, _) => true;
        Assert.True(died, $"{member.Name} did not die");
    }
}
