using Skein.Membership.Core;
using Skein.Simulation.Membership;

namespace Skein.Membership.Tests.Simulated;

/// <summary>Local health and pauses: late timers, paused processes, missing nacks.</summary>
public sealed class SenseTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    /// <summary>Shorter than a probe, so that only the late timers can lower the health.</summary>
    [Fact]
    public void Timers_LateByLessThanAPeriod_CostHealth()
    {
        var world = Settled(5);
        var late = world.Members[2];
        Assert.Equal(0, late.Core.Health);

        late.RunsFrom = late.Core.NextDue + world.Options.DirectTimeout;
        world.RunFor(late.RunsFrom - world.Now + TimeSpan.FromMilliseconds(1));

        Assert.Equal(2, late.Core.Health);
        Assert.All(world.Members.Where(member => member != late), static member => Assert.Equal(0, member.Core.Health));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)] // the control: without corroboration the probes in flight accuse
    public void Standstill_ProbesWereInFlight_ListensForAPeriodAndAccusesNobody(bool careful)
    {
        var accusations = 0;
        var standstills = 0;
        for (ulong seed = 1; seed <= 20; seed++)
        {
            var world = Settled(5, seed, careful ? ProtocolRules.Default : ProtocolRules.Default with { Corroboration = false });
            var member = world.Members[2];
            // During a probe's indirect round. All packets are lost meanwhile: a suspended machine has no socket buffer.
            world.Passes = (_, to) => to != member;
            world.RunUntil(() => member.Core.ProbesInFlight > 0, 2 * Second);
            world.RunFor(world.Options.DirectTimeout + world.Options.IndirectTimeout / 2);
            member.RunsFrom = world.Now + 5 * Second;
            world.RunFor(5 * Second);
            var woke = world.Now;
            world.Passes = static (_, _) => true;
            world.RunFor(0.9 * Second);
            standstills += member.Events.Count(e => e.What == CoreEvent.Resumed);
            accusations += member.Events.Count(e => e.What == CoreEvent.Suspected && e.At >= woke && e.About != member.Name);
        }

        Assert.Equal(careful ? 20 : 0, standstills);
        if (careful)
            Assert.Equal(0, accusations);
        else
            Assert.NotEqual(0, accusations);
    }

    [Fact]
    public void Probe_HostIsGoneAndHelpersSaySo_CostsNoHealth_HelpersGoneTooCostSome()
    {
        var nacked = Settled(5);
        nacked.Members[4].HostLost = true;
        nacked.RunFor(3 * Second);
        Assert.All(nacked.Running, static member => Assert.Equal(0, member.Core.Health));

        var silent = Settled(5);
        foreach (var member in silent.Members.Skip(2))
            member.HostLost = true;
        Assert.True(silent.RunUntil(() => silent.Members[0].Core.Health > 0 && silent.Members[1].Core.Health > 0, 5 * Second), "missing nacks cost nothing");
    }

    /// <summary>The member hears only one other, so most of its probes fail, and its timers are always late.</summary>
    [Fact]
    public void Accusations_OfAnUnhealthyMember_AreAPeriodApartForEachPointOfItsHealth()
    {
        const int PointsOfDelays = 4;
        var gaps = new List<TimeSpan>();
        var count = 0;
        for (ulong seed = 1; seed <= 5; seed++)
        {
            var world = Settled(16, seed);
            (var member, var friend) = (world.Members[0], world.Members[1]);
            world.Passes = (from, to) => to != member || from == friend;
            var start = world.Now;
            for (var second = 0; second < 20; second++)
            {
                world.Do(member, static (core, now) => core.RecordDelay(10 * Second, now));
                world.RunFor(Second);
            }
            TimeSpan[] accusations = [.. member.Events.Where(e => e.What == CoreEvent.Suspected && e.At >= start).Select(static e => e.At)];
            count += accusations.Length;
            gaps.AddRange(accusations.Skip(1).Zip(accusations, static (next, before) => next - before));
        }

        Assert.NotEqual(0, count);
        Assert.All(gaps, static gap => Assert.InRange(gap, PointsOfDelays * ProtocolOptions.Lan.ProbePeriod, TimeSpan.MaxValue));
    }

    [Fact]
    public void Metadata_OfASuspect_DoesNotEndTheSuspicion()
    {
        var world = Settled(5);
        (var viewer, var suspect) = (world.Members[0], world.Members[3]);
        // Members that have the update keep it until the suspect is silent.
        world.Passes = (from, to) => to != viewer && from != viewer;
        world.Do(suspect, static (core, now) => core.UpdateMetadata([7], now));
        world.RunFor(0.3 * Second);
        world.Passes = static (_, _) => true;
        suspect.RunsFrom = world.Now + 10 * Second;
        var known = viewer.View(suspect.Name)!.Metadata;
        Assert.True(world.RunUntil(() => viewer.StateOf(suspect.Name) == MemberState.Suspect, 10 * Second), "it is not suspected");
        Assert.True(
            world.RunUntil(() => !ReferenceEquals(viewer.View(suspect.Name)!.Metadata, known) || known.Length > 0, 2 * Second), "the update does not arrive");

        Assert.Equal([7], viewer.View(suspect.Name)!.Metadata);
        Assert.Equal(MemberState.Suspect, viewer.StateOf(suspect.Name));
    }

    /// <summary>A firewall blocks UDP of one host: the TCP probes keep it alive, in its own view and in those of others.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)] // the control
    public void Probe_DatagramsAreLostAndStreamsPass_MemberStaysAliveWhereStreamsAreAsked(bool asksByStream)
    {
        var world = Settled(5, rules: ProtocolRules.Default with { StreamProbes = asksByStream });
        var unheard = world.Members[2];

        world.DatagramPasses = (from, to) => from != unheard && to != unheard;
        world.RunFor(60 * Second);

        Assert.Equal(!asksByStream, world.Members.Exists(static member => member.Events.Exists(static e => e.What == CoreEvent.Died)));
        Assert.Equal(asksByStream, world.Members.TrueForAll(member => member == unheard || member.StateOf(unheard.Name) != MemberState.Dead));
    }

    /// <summary>The accusation is not gossiped any more. A ping of the suspect carries it, and the ack carries the refutation.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)] // the control
    public void Probe_SuspectThatMissedTheRumour_RefutesInOneRoundTripWhereThePingTellsIt(bool buddy)
    {
        var world = Settled(5, rules: ProtocolRules.Default with { Buddy = buddy, StreamProbes = false });
        (var suspect, var asking) = (world.Members[3], world.Members[0]);
        world.Passes = (from, to) => from != suspect && to != suspect;
        Assert.True(world.RunUntil(() => asking.StateOf(suspect.Name) == MemberState.Suspect, 10 * Second), "it is not suspected");
        world.RunFor(0.8 * Second);
        Assert.Equal(MemberState.Suspect, asking.StateOf(suspect.Name));

        var passed = 0;
        world.Passes = (from, to) =>
        {
            var passes = (from == asking && to == suspect && passed == 0) || (from == suspect && to == asking);
            passed += passes && to == suspect ? 1 : 0;
            return passes || (from != suspect && to != suspect);
        };
        world.Do(asking, (core, now) => core.ProbeNow(suspect.Id, now));
        world.RunFor(0.02 * Second);

        Assert.Equal(1, passed);
        Assert.Equal(buddy ? MemberState.Alive : MemberState.Suspect, asking.StateOf(suspect.Name));
    }

    [Fact]
    public void Join_GroupIsFull_IsReportedAndTheOthersContinue()
    {
        var world = new MembershipWorld(seed: 4, ProtocolOptions.Lan with { MaxMembers = 4 });
        world.StartMany(4);
        world.RunFor(3 * Second);
        Assert.True(world.Agree());

        var fifth = world.Start("m-4", at: null, world.Members[0]);
        world.RunFor(10 * Second);

        Assert.All(world.Members.Take(4), member => Assert.Null(member.View(fifth.Name)));
        Assert.Contains(world.Members[0].Events, static e => e.What == CoreEvent.GroupFull);
        Assert.All(world.Members.Take(4), static member => Assert.Equal(4, member.Core.Table.LiveCount));
        Assert.All(world.Members.Take(4), static member => Assert.DoesNotContain(member.Events, static e => e.What is CoreEvent.Died));
    }

    private static MembershipWorld Settled(int members, ulong seed = 3, ProtocolRules? rules = null)
    {
        var world = new MembershipWorld(seed, ProtocolOptions.Lan, rules);
        world.StartMany(members);
        world.RunFor(3 * Second);
        Assert.True(world.Agree(), "the group did not form");
        return world;
    }
}
