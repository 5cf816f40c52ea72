using Skein.Routing.Admission;
using Skein.Routing.Fleet;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Admission;

public sealed class SlowStartTests
{
    private static readonly TimeSpan Ramp = TimeSpan.FromSeconds(10);

    private int _arrivals;

    [Theory]
    [InlineData(0, 2)] // a tenth of the weight: one of eleven
    [InlineData(5, 8)] // 0.55 of 1.55
    [InlineData(10, 11)]
    public async Task NewReplica_GetsItsShareAsItWarmsUp(int seconds, int expected)
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 100)));
        gateway.Time.Advance(Ramp);
        gateway.Source.Set(Replica("a", slots: 100), Replica("b", slots: 100));
        gateway.Time.Advance(TimeSpan.FromSeconds(seconds));

        Assert.InRange(await ShareOfAsync(gateway, "b", 22), expected - 1, expected);
    }

    [Fact]
    public async Task NewReplicas_WhileTheGatewayIsNewItself_AreNotHeldBack()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 100)));
        gateway.Time.Advance(Ramp - TimeSpan.FromSeconds(1));
        gateway.Source.Set(Replica("a", slots: 100), Replica("b", slots: 100));

        Assert.Equal(11, await ShareOfAsync(gateway, "b", 22));
    }

    [Fact]
    public async Task ReachableAgain_RampsToo_ButTakesWhatNobodyElseCan()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 10), Replica("b", slots: 100)));
        var b = gateway.Fleet.Current.Replicas.Single(replica => replica.Id.Name == "b");
        gateway.Fleet.MarkUnreachable(b);
        gateway.Fleet.MarkReachable(b);

        Assert.InRange(await ShareOfAsync(gateway, "b", 11), 1, 2);
        Assert.InRange(await ShareOfAsync(gateway, "b", 50), 48, 50);
        Assert.Equal(0, gateway.Admission.Waiting);
    }

    [Fact]
    public async Task ReachableAgain_WithTwoSlots_CountsForOneOfThem()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 2), Replica("b", slots: 2)));
        var b = gateway.Fleet.Current.Replicas.Single(replica => replica.Id.Name == "b");
        gateway.Fleet.MarkUnreachable(b);
        gateway.Fleet.MarkReachable(b);

        // Scores: a 1, b 1 / 0.5; then a and b both 2.
        Assert.Equal(0, await ShareOfAsync(gateway, "b", 1));
        Assert.Equal(1, await ShareOfAsync(gateway, "b", 2));
    }

    /// <summary>How many of so many new leases go to a replica.</summary>
    private async Task<int> ShareOfAsync(Gateway gateway, string replica, int leases)
    {
        var share = 0;
        for (var i = 0; i < leases; i++)
        {
            var request = new AdmissionRequest("m", new Arrival(0, ++_arrivals, 0), Displaced: false, WaitingSince: null, "", []);
            var lease = gateway.Admission.AcquireAsync(request, default);
            Assert.True(lease.IsCompleted, $"request {i} waits although a slot is free");
            share += (await lease).Replica.Id.Name == replica ? 1 : 0;
        }
        return share;
    }
}
