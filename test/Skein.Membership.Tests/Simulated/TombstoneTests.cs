using Skein.Membership.Core;
using Skein.Simulation.Membership;

namespace Skein.Membership.Tests.Simulated;

/// <summary>A dead member is remembered for a while, then forgotten; its name is free either way.</summary>
public sealed class TombstoneTests
{
    private readonly MembershipWorld _world = new(seed: 8, ProtocolOptions.Lan with { TombstoneLifetime = TimeSpan.FromMinutes(1) });

    [Fact]
    public void Restart_AfterItsTombstoneIsForgotten_IsAMemberAgain()
    {
        _world.StartMany(5);
        _world.RunFor(TimeSpan.FromSeconds(5));
        SimulatedMember old = _world.Members[2];
        old.Crashed = true;
        _world.RunFor(TimeSpan.FromMinutes(3));
        Assert.All(_world.Running, member => Assert.Null(member.View(old.Name)));

        SimulatedMember next = _world.Start(old.Name, at: old, _world.Members[0]);

        Assert.True(_world.RunUntil(() => _world.Running.All(member => member.StateOf(next.Name) == MemberState.Alive), TimeSpan.FromSeconds(1)), "the new life is not seen");
        Assert.True(_world.Running.All(member => member.View(next.Name)!.Generation == next.Core.Table.Self.Generation));
    }
}
