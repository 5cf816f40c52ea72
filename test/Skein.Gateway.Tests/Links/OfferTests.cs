using Microsoft.Extensions.Time.Testing;
using Skein.Gateway.Links;
using Skein.Protocol.V1;
using Skein.Routing;
using Skein.Routing.Admission;
using Skein.Routing.Balancing;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Links;

/// <summary>Slots that a real replica keeps for a gateway, over the bus. The replica's clock stands: an offer ends by being taken or declined.</summary>
public sealed class OfferTests
{
    [Fact]
    public async Task Offer_NobodyWaitsAnyMore_IsDeclinedAndTheSlotIsFreeAtOnce()
    {
        var engine = new KeyedEngine { Slots = 1 };
        await using BusWorld world = await BusWorld.StartAsync(engine, time: new FakeTimeProvider());
        await using BusReader running = world.Read("running");
        engine.Of("running").Say(KeyedEngine.Start);
        await running.NextAsync();
        var refusal = await Assert.ThrowsAsync<LinkException>(world.Read(Ask("refused")).NextAsync);
        Assert.True(refusal.Load!.RemembersCaller);

        engine.Of("running").Say(KeyedEngine.Finish);
        await running.RestAsync();

        while (world.App.Control.Report().Running != 0)
            await world.Link.ProbeAsync(world.Replica, world.Token);
    }

    [Fact]
    public async Task Offer_SomebodyWaits_GetsTheSlot()
    {
        var engine = new KeyedEngine { Slots = 1 };
        await using BusWorld world = await BusWorld.StartAsync(engine, time: new FakeTimeProvider());
        await using BusReader others = world.Read(new GenerateRequest { Text = "others", Attempt = 1, Caller = "gateway-2", WaitedMs = 0 });
        engine.Of("others").Say(KeyedEngine.Start);
        await others.NextAsync();

        using var fleet = new FleetTracker(new OneReplica(world.Replica.Description));
        using var admission = new AdmissionQueue(
            new AdmissionOptions(), new BalancingPolicies(BalancingPolicies.BuiltIn), fleet, new FakeTimeProvider(), new SeededRandomSource(1));
        using var channels = new ReplicaChannels(fleet, GatewaySide.Patient, admission);
        var link = new BusReplicaLink(channels);
        ReplicaLease first = await AcquireAsync(admission, 1);
        await using (var refused = new BusReader(link.GenerateAsync(first.Replica, Ask("refused"), world.Token)))
        {
            var refusal = await Assert.ThrowsAsync<LinkException>(refused.NextAsync);
            first.Release(LeaseOutcome.Refused, refusal.Load);
        }
        Task<ReplicaLease> waiter = AcquireAsync(admission, 2);
        Assert.False(waiter.IsCompleted);

        engine.Of("others").Say(KeyedEngine.Finish);

        ReplicaLease lease = await waiter.WaitAsync(GatewaySide.Deadline, TimeProvider.System, world.Token);
        engine.Of("waiter").Say(KeyedEngine.Start, KeyedEngine.Finish);
        Assert.NotNull((await new BusReader(link.GenerateAsync(lease.Replica, Ask("waiter"), world.Token)).RestAsync())[^1].Finish);
    }

    private static GenerateRequest Ask(string prompt) => new() { Text = prompt, Attempt = 1, Caller = "gateway-1", WaitedMs = 100 };

    private static Task<ReplicaLease> AcquireAsync(AdmissionQueue admission, int arrival) =>
        admission.AcquireAsync(new AdmissionRequest("m", new Arrival(0, arrival, 0), Displaced: false, null, "", []), CancellationToken.None).AsTask();

    private sealed class OneReplica(ReplicaDescription replica) : IFleetSource
    {
        public event Action? Changed
        {
            add { }
            remove { }
        }

        public FleetView Current { get; } = new([replica with { Slots = 1 }], [], Complete: true);
    }
}
