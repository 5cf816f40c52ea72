using Skein.Membership.Core;
using Skein.Simulation.Membership;

namespace Skein.Membership.Tests.Simulated;

/// <summary>Who dies again and again stays dead for a while; nobody else ever waits.</summary>
public sealed class FlapTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private readonly MembershipWorld _world = new(seed: 22, ProtocolOptions.Lan);

    [Fact]
    public void CutOffAlone_FirstTime_ReturnsWithinTenSeconds()
    {
        Form(5);

        CutOffUntilDead(_world.Members[2]);

        Assert.True(_world.RunUntil(_world.Agree, 10 * Second), "it did not return");
    }

    [Fact]
    public void CutOffAlone_SecondTime_ReturnsAfterTheHoldAndNotBefore()
    {
        Form(5);
        SimulatedMember flapping = _world.Members[2];
        CutOffUntilDead(flapping);
        Assert.True(_world.RunUntil(_world.Agree, 10 * Second), "it did not return the first time");

        CutOffUntilDead(flapping);
        TimeSpan healed = _world.Now;

        Assert.False(_world.RunUntil(_world.Agree, _world.Options.ReturnHold - Second), "it did not wait");
        Assert.Equal(MemberState.Dead, flapping.Core.Table.Self.State);
        Assert.True(_world.RunUntil(_world.Agree, 15 * Second), $"it is still out {_world.Now - healed} after the repair");
    }

    [Fact]
    public void CutOffAlone_SecondTimeLongAfter_ReturnsWithinTenSeconds()
    {
        Form(5);
        CutOffUntilDead(_world.Members[2]);
        _world.RunFor(_world.Options.FlapMemory + 30 * Second);

        CutOffUntilDead(_world.Members[2]);

        Assert.True(_world.RunUntil(_world.Agree, 10 * Second), "it did not return");
    }

    [Fact]
    public void Held_RestartsUnderItsName_IsBackAtOnce()
    {
        Form(5);
        SimulatedMember flapping = _world.Members[2];
        CutOffUntilDead(flapping);
        Assert.True(_world.RunUntil(_world.Agree, 10 * Second), "it did not return the first time");
        CutOffUntilDead(flapping);
        _world.RunFor(5 * Second);
        flapping.Crashed = true;

        SimulatedMember next = _world.Start(flapping.Name, at: flapping, _world.Members[0]);

        Assert.True(_world.RunUntil(() => next.Core.Phase == CorePhase.Active && _world.Agree(), Second), "the new life is not seen");
    }

    [Theory]
    [InlineData(3)]
    [InlineData(6)]
    public void Partition_ThreeTimesInTwoMinutes_HealsWithinTenSecondsEachTime(int border)
    {
        Form(12);
        for (int cut = 0; cut < 3; cut++)
        {
            _world.Passes = (from, to) => from.Index < border == to.Index < border;
            _world.RunFor(30 * Second);
            _world.Passes = static (_, _) => true;

            Assert.True(_world.RunUntil(_world.Agree, 10 * Second), $"cut {cut + 1} has not healed");
        }
    }

    [Fact]
    public void SickMember_TellsOthersAgainAndAgainThatTheyAreDead_TheyStay()
    {
        Form(5);
        SimulatedMember sick = _world.Members[4];
        for (int cut = 0; cut < 4; cut++)
        {
            CutOffUntilDead(sick);
            _world.RunFor(45 * Second);
        }

        Assert.All(_world.Members, viewer => Assert.DoesNotContain(
            viewer.Events, e => viewer != sick && e.What == CoreEvent.Died && e.About != sick.Name));
    }

    private void Form(int count)
    {
        _world.StartMany(count);
        _world.RunFor(3 * Second);
        Assert.True(_world.Agree(), "the group did not form");
    }

    private void CutOffUntilDead(SimulatedMember member)
    {
        _world.Passes = (from, to) => from != member && to != member;
        bool died = _world.RunUntil(() => _world.Members.TrueForAll(other => other == member || other.StateOf(member.Name) == MemberState.Dead), 60 * Second);
        _world.Passes = static (_, _) => true;
        Assert.True(died, $"{member.Name} did not die");
    }
}
