using System.Text;
using Skein.Membership.Core;
using Skein.Simulation.Membership;

namespace Skein.Membership.Tests.Simulated;

public sealed class GenerationTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private readonly MembershipWorld _world = new(seed: 5, ProtocolOptions.Lan);

    [Fact]
    public void Restart_SameNameNewAddressAtOnce_IsAcceptedAtOnce()
    {
        Form(4);
        var old = _world.Members[2];
        old.Crashed = true;

        var next = _world.Start(old.Name, at: null, _world.Members[0]);

        Assert.True(_world.RunUntil(() => SeenByAll(next), Second / 2), "the new generation is not seen");
    }

    [Fact]
    public void Restart_SameNameSameAddressAtOnce_IsAcceptedAtOnce()
    {
        Form(4);
        var old = _world.Members[2];
        old.Crashed = true;

        var next = _world.Start(old.Name, at: old, _world.Members[0]);

        Assert.True(_world.RunUntil(() => SeenByAll(next), Second / 2), "the new generation is not seen");
    }

    [Fact]
    public void Restart_AfterItWasDeclaredDead_IsAccepted()
    {
        Form(4);
        var old = _world.Members[2];
        old.HostLost = true;
        Assert.True(_world.RunUntil(() => _world.Members[0].StateOf(old.Name) == MemberState.Dead, 10 * Second));

        var next = _world.Start(old.Name, at: null, _world.Members[0]);

        Assert.True(_world.RunUntil(() => SeenByAll(next), Second), "the new generation is not seen");
    }

    [Fact]
    public void Restart_ClockWentBack_GenerationStillRises()
    {
        Form(3);
        var old = _world.Members[2];
        old.Crashed = true;

        var next = _world.Start(old.Name, at: null, clockBack: TimeSpan.FromHours(1), _world.Members[0]);

        Assert.True(_world.RunUntil(() => SeenByAll(next), Second / 2), "the new generation is not seen");
        Assert.True(next.Core.Table.Self.Generation > old.Core.Table.Self.Generation);
    }

    [Fact]
    public void Start_NameAnswersElsewhere_IsRefusedAndTheOldGenerationStays()
    {
        Form(3);
        var holder = _world.Members[2];

        var intruder = _world.Start(holder.Name, at: null, _world.Members[0]);
        _world.RunFor(2 * Second);

        Assert.Contains(intruder.Events, e => e.What == CoreEvent.NameTaken);
        Assert.Equal(CorePhase.Ended, intruder.Core.Phase);
        Assert.Equal(CorePhase.Active, holder.Core.Phase);
        Assert.All(_world.Running, member => Assert.Equal(holder.Address, member.View(holder.Name)!.Address));
    }

    [Fact]
    public void OldGeneration_PausedWhileANewOneTookItsName_LearnsItAndEnds()
    {
        Form(4);
        var old = _world.Members[2];
        old.RunsFrom = _world.Now + 30 * Second;
        _world.RunFor(Second);

        var next = _world.Start(old.Name, at: null, _world.Members[0]);
        Assert.True(_world.RunUntil(() => SeenByAll(next), 2 * Second), "the new generation is not seen");
        _world.RunFor(40 * Second);

        Assert.Contains(old.Events, e => e.What == CoreEvent.Superseded);
        Assert.Equal(CorePhase.Ended, old.Core.Phase);
        Assert.True(SeenByAll(next));
    }

    [Fact]
    public void Start_SeedsUnreachable_StartsAloneReportsThemAndFindsThemLater()
    {
        var seed = _world.Start("seed");
        seed.HostLost = true;

        var member = _world.Start("member", at: null, seed);
        _world.RunFor(5 * Second);
        Assert.Equal(CorePhase.Active, member.Core.Phase);
        Assert.Equal("no answer", Assert.Single(member.Core.Seeds).Problem);

        seed.HostLost = false;
        Assert.True(_world.RunUntil(_world.Agree, 20 * Second), "they did not find each other");
        Assert.True(Assert.Single(member.Core.Seeds).Reached);
    }

    [Fact]
    public void Start_SeedStillChecksItsOwnName_IsNotSeenBeforeItIsAMemberAndFoundSoonAfter()
    {
        var lost = _world.Start("lost");
        lost.HostLost = true;
        var observing = _world.Start("observing", at: null, lost);
        _world.RunFor(Second / 10);

        var joining = _world.Start("joining", at: null, observing);
        _world.RunFor(Second / 10);

        Assert.Equal((CorePhase.Observing, CorePhase.Active), (observing.Core.Phase, joining.Core.Phase));
        Assert.Equal(MemberState.None, joining.StateOf("observing"));
        Assert.True(_world.RunUntil(() => _world.Agree() && joining.StateOf("observing") == MemberState.Alive, 5 * Second), "they did not find each other");
    }

    [Fact]
    public void Start_AllAreSeedsOfAllAndStartAtOnce_FormOneGroupWithinASecond()
    {
        SimulatedMember[] members = [.. Enumerable.Range(0, 4).Select(i => _world.Start($"reserved-{i}"))];
        foreach (var host in members)
            host.Crashed = true;
        for (var i = 0; i < members.Length; i++)
            _world.Start($"m-{i}", at: members[i], members);

        Assert.True(_world.RunUntil(() => _world.Running.Count() == 4 && _world.Agree(), Second), "they did not find each other");
    }

    [Fact]
    public void UpdateMetadata_KnownToAllWithinTwoPeriods_WithoutAnIncarnation()
    {
        Form(5);
        var member = _world.Members[3];
        var metadata = Encoding.ASCII.GetBytes("new");

        _world.Do(member, (core, now) => core.UpdateMetadata(metadata, now));

        Assert.True(_world.RunUntil(() => _world.Running.All(m => m.View(member.Name)!.Metadata.AsSpan().SequenceEqual(metadata)), 2 * Second));
        Assert.Equal(0u, member.Core.Table.Self.Incarnation);
    }

    [Fact]
    public void UpdateLoad_ReachesAllWithinTwoSeconds_AndCostsNoMembershipNews()
    {
        Form(5);
        var member = _world.Members[3];

        _world.Do(member, (core, now) => core.UpdateLoad(inFlight: 12, queued: 3, now));

        Assert.True(_world.RunUntil(() => _world.Running.All(m => m.View(member.Name)!.Details.Load is { InFlight: 12, Queued: 3 }), 2 * Second));
        Assert.True(_world.Agree());
    }

    private void Form(int count)
    {
        _world.StartMany(count);
        Assert.True(_world.RunUntil(() => _world.Agree() && _world.Members[0].Core.Table.LiveCount == count, Second), "the group did not form");
        _world.RunFor(2 * Second);
    }

    private bool SeenByAll(SimulatedMember member) => _world.Running.Where(viewer => viewer.RunsFrom <= _world.Now).All(viewer =>
        viewer.View(member.Name) is { } record && record.IsLive && record.Generation == member.Core.Table.Self.Generation
        && record.Address == member.Address && member.Core.Phase == CorePhase.Active);
}
