using Skein.Membership.Core;
using Skein.Simulation.Membership;

namespace Skein.Membership.Tests.Simulated;

/// <summary>A tombstone is kept for its lifetime and then purged by all members. Its name is free in both cases.</summary>
public sealed class TombstoneTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private readonly MembershipWorld _world = new(seed: 8, ProtocolOptions.Lan with { TombstoneLifetime = TimeSpan.FromMinutes(1) });

    /// <summary>The lifetime of a tombstone, and the tenth by which a member may purge it later.</summary>
    private TimeSpan Forgotten => _world.Options.TombstoneLifetime * 1.1 + Second;

    [Fact]
    public void Restart_AfterItsTombstoneIsForgotten_IsAMemberAgain()
    {
        var old = FormAndBury(5);
        Assert.True(_world.RunUntil(() => IsForgotten(old), Forgotten), "it is still remembered");

        var next = _world.Start(old.Name, at: old, _world.Members[0]);

        Assert.True(_world.RunUntil(() => _world.Running.All(member => member.StateOf(next.Name) == MemberState.Alive), Second), "the new generation is not seen");
        Assert.True(_world.Running.All(member => member.View(next.Name)!.Generation == next.Core.Table.Self.Generation));
    }

    [Fact]
    public void Tombstone_NewMembersLearnItFromNewMembers_IsForgottenByAllAtTheSameTime()
    {
        var gone = FormAndBury(5);
        var buried = _world.Now;
        for (var i = 0; i < 4; i++)
        {
            _world.RunFor(10 * Second);
            var joining = _world.Start($"new-{i}", at: null, _world.Members[^1]);
            _world.RunFor(Second);
            Assert.Equal(MemberState.Dead, joining.StateOf(gone.Name));
        }

        _world.RunFor(buried + Forgotten - _world.Now);

        Assert.All(_world.Running, member => Assert.Null(member.View(gone.Name)));
    }

    [Fact]
    public void Tombstone_ForgottenByOneOnly_IsNotTaughtAgain()
    {
        var gone = FormAndBury(2);
        Assert.True(_world.RunUntil(() => _world.Running.Any(member => member.View(gone.Name) is null), Forgotten), "nobody forgot it");
        var early = _world.Running.First(member => member.View(gone.Name) is null);
        var late = _world.Running.First(member => member.View(gone.Name) is not null);

        _world.Do(early, (core, now) => core.Synchronize(late.Address, now));
        _world.RunFor(Second / 10);

        Assert.Null(early.View(gone.Name));
    }

    [Fact]
    public void StaleGeneration_OfAMemberThatAllHadPurged_IsDeadAgainWithinADetection()
    {
        Form(5);
        (var gone, var away) = (_world.Members[2], _world.Members[3]);
        away.RunsFrom = _world.Now + TimeSpan.FromMinutes(3);
        _world.Passes = (_, to) => to != away;
        gone.HostLost = true;
        _world.RunFor(TimeSpan.FromMinutes(3) - Second / 10);
        _world.Passes = static (_, _) => true;
        SimulatedMember[] others = [_world.Members[0], _world.Members[1], _world.Members[4]];
        Assert.All(others, member => Assert.Null(member.View(gone.Name)));

        Assert.True(_world.RunUntil(() => others.All(member => member.View(gone.Name) is { IsLive: true }), 5 * Second), "the stale claim did not come round: nothing is proven");
        Assert.True(_world.RunUntil(() => Seen(gone, MemberState.Dead), 6 * Second), "it lives on");

        Assert.True(_world.RunUntil(() => IsForgotten(gone), Forgotten), "it is still remembered");
    }

    [Fact]
    public void Tombstones_MoreThanAreRemembered_TheOldestAreForgottenFirst()
    {
        var world = new MembershipWorld(seed: 9, ProtocolOptions.Lan with { MaxTombstones = 16 });
        world.StartMany(30);
        world.RunFor(5 * Second);
        for (var i = 1; i <= 25; i++)
        {
            world.Members[i].Crashed = true;
            world.RunFor(Second);
            Assert.All(world.Running, member => Assert.InRange(member.Core.Table.Gone.Count, 0, 18));
        }

        world.RunFor(TimeSpan.FromMinutes(1));

        string[] newest = [.. Enumerable.Range(10, 16).Select(static i => $"m-{i}")];
        Assert.All(world.Running, member => Assert.Equal(newest, member.Core.Table.Gone.Select(static record => record.Name).Order(StringComparer.Ordinal)));
    }

    private SimulatedMember FormAndBury(int others)
    {
        Form(others + 1);
        var gone = _world.Members[1];
        gone.Crashed = true;
        Assert.True(_world.RunUntil(() => Seen(gone, MemberState.Dead), 5 * Second), "it is not dead everywhere");
        return gone;
    }

    private void Form(int count)
    {
        _world.StartMany(count);
        _world.RunFor(5 * Second);
        Assert.True(_world.Agree(), "the group did not form");
    }

    private bool Seen(SimulatedMember about, MemberState state) => _world.Running.All(member => member.StateOf(about.Name) == state);

    private bool IsForgotten(SimulatedMember gone) => _world.Running.All(member => member.View(gone.Name) is null);
}
