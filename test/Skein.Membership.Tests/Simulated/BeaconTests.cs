using Skein.Simulation.Membership;

namespace Skein.Membership.Tests.Simulated;

public sealed class BeaconTests
{
    [Fact]
    public void UpdateLoad_BigChange_IsAtTheGatewayWithinTenMilliseconds()
    {
        (var world, var gateway, var replica) = Pair();

        world.Do(replica, static (core, now) => core.UpdateLoad(inFlight: 50, queued: 0, now));
        world.RunFor(TimeSpan.FromMilliseconds(10));

        Assert.Equal(50u, gateway.Beacons[replica.Name].Load.InFlight);
    }

    [Fact]
    public void Beacons_WithoutChange_ComeTenTimesASecond()
    {
        (var world, var gateway, var replica) = Pair();
        var before = gateway.Beacons[replica.Name].Load.Sequence;

        world.RunFor(TimeSpan.FromSeconds(10));

        Assert.InRange(gateway.Beacons[replica.Name].Load.Sequence - before, 98u, 102u);
    }

    [Fact]
    public void Beacons_OvertakenOnTheWay_NeverGoBack()
    {
        (var world, var gateway, var replica) = Pair();
        world.Link = world.Link with { Jitter = TimeSpan.FromMilliseconds(300), DuplicatePermille = 200 };
        uint newest = 0;
        for (uint load = 1; load < 200; load++)
        {
            world.Do(replica, (core, now) => core.UpdateLoad(load, 0, now));
            world.RunFor(TimeSpan.FromMilliseconds(20));
            var seen = gateway.Beacons[replica.Name].Load.InFlight;
            Assert.InRange(seen, newest, load);
            newest = seen;
        }
        Assert.InRange(newest, 150u, 199u);
    }

    /// <summary>This load does not change any more, so only the first beacon can carry it.</summary>
    [Fact]
    public void UpdateLoad_BeforeActivation_IsSentAfterActivation()
    {
        (var world, var gateway, _) = Pair();
        var joining = world.Start("late", at: null, gateway);
        world.Do(joining, (core, now) => core.SetBeaconReceivers([gateway.Id], now));
        world.Do(joining, static (core, now) => core.UpdateLoad(inFlight: 9, queued: 0, now));
        world.Do(joining, static (core, now) => core.Advance(now));
        Assert.Equal(Membership.Core.CorePhase.Observing, joining.Core.Phase);

        world.RunFor(TimeSpan.FromSeconds(2));

        Assert.Equal(9u, gateway.Beacons[joining.Name].Load.InFlight);
    }

    private static (MembershipWorld World, SimulatedMember Gateway, SimulatedMember Replica) Pair()
    {
        var world = new MembershipWorld(seed: 4, ProtocolOptions.Lan);
        world.StartMany(3);
        world.RunFor(TimeSpan.FromSeconds(2));
        (var gateway, var replica) = (world.Members[0], world.Members[1]);
        world.Do(replica, (core, now) => core.SetBeaconReceivers([gateway.Id], now));
        world.Do(replica, static (core, now) => core.UpdateLoad(0, 0, now));
        world.RunFor(TimeSpan.FromSeconds(1));
        return (world, gateway, replica);
    }
}
