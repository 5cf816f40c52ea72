using Microsoft.Extensions.Time.Testing;
using Skein.Gateway.Links;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing;
using Skein.Routing.Admission;
using Skein.Routing.Balancing;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Links;

/// <summary>
/// Slots that a real replica keeps for a gateway, over each kind of link. The replica's clock does not advance: an offer ends only when it is taken or
/// declined.
/// </summary>
public abstract class OfferTests(LinkKind kind)
{
    [Fact]
    public async Task Offer_NobodyWaitsAnyMore_IsDeclinedAndTheSlotIsFreeAtOnce()
    {
        var engine = new KeyedEngine { Slots = 1 };
        await using var world = await LinkWorld.StartAsync(kind, engine, time: new FakeTimeProvider());
        await using var running = world.Read("running");
        engine.Of("running").Say(KeyedEngine.Start);
        await running.NextAsync();
        var refusal = await Assert.ThrowsAsync<FaultException>(world.Read(Ask("refused")).NextAsync);
        Assert.True(refusal.Load!.RemembersCaller);

        engine.Of("running").Say(KeyedEngine.Finish);
        await running.RestAsync();

        while (world.Control.Report().Running != 0)
            await world.Link.ProbeAsync(world.Replica, world.Token);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Offer_SomebodyWaits_GetsTheSlot(bool leavesAndComesBack)
    {
        var engine = new KeyedEngine { Slots = 1 };
        await using var world = await LinkWorld.StartAsync(kind, engine, time: new FakeTimeProvider());
        await using var others = world.Read(new GenerateRequest { Text = "others", Attempt = 1, Caller = "gateway-2", WaitedMs = 0 });
        engine.Of("others").Say(KeyedEngine.Start);
        await others.NextAsync();

        using var gateway = new OneReplicaGateway(world);
        var first = await gateway.AcquireAsync();
        var refusal = await RefusalAsync(gateway, first, world.Token);
        if (leavesAndComesBack)
            gateway.LeaveAndComeBack();
        first.Release(Fault.NoSlot, refusal);
        if (leavesAndComesBack)
        {
            // The replica is new to this gateway, which does not know its load.
            var second = await gateway.AcquireAsync();
            second.Release(Fault.NoSlot, await RefusalAsync(gateway, second, world.Token));
        }
        var waiter = gateway.AcquireAsync();
        Assert.False(waiter.IsCompleted);

        engine.Of("others").Say(KeyedEngine.Finish);

        var lease = await waiter.WaitAsync(LinkWorld.Deadline, TimeProvider.System, world.Token);
        engine.Of("waiter").Say(KeyedEngine.Start, KeyedEngine.Finish);
        Assert.NotNull((await gateway.Read(lease.Replica, Ask("waiter"), world.Token).RestAsync())[^1].Finish);
    }

    [Fact]
    public async Task Stream_LifeLeavesAndComesBackAndWhatRanBeforeEnds_GoesOn()
    {
        var engine = new KeyedEngine { Slots = 2 };
        await using var world = await LinkWorld.StartAsync(kind, engine);
        using var gateway = new OneReplicaGateway(world);
        var before = await gateway.AcquireAsync();
        await using var first = gateway.Read(before.Replica, Ask("first"), world.Token);
        engine.Of("first").Say(KeyedEngine.Start);
        await first.NextAsync();

        gateway.LeaveAndComeBack();
        var after = await gateway.AcquireAsync();
        Assert.NotSame(before.Replica, after.Replica);
        await using var second = gateway.Read(after.Replica, Ask("second"), world.Token);
        engine.Of("second").Say(KeyedEngine.Start);
        await second.NextAsync();
        engine.Of("first").Say(KeyedEngine.Finish);
        await first.RestAsync();
        before.Release(fault: null);
        gateway.NotifyOfChange();
        gateway.Leave(); // not disconnected while a request from after its return still runs

        engine.Of("second").Say(KeyedEngine.Finish);
        Assert.NotNull((await second.RestAsync())[^1].Finish);
    }

    private static async Task<LoadReport?> RefusalAsync(OneReplicaGateway gateway, ReplicaLease lease, CancellationToken cancellationToken)
    {
        await using var refused = gateway.Read(lease.Replica, Ask("refused"), cancellationToken);
        return (await Assert.ThrowsAsync<FaultException>(refused.NextAsync)).Load;
    }

    private static GenerateRequest Ask(string prompt) => new() { Text = prompt, Attempt = 1, Caller = "gateway-1", WaitedMs = 100 };

    /// <summary>A gateway of the replica that can leave the group and return.</summary>
    private sealed class OneReplicaGateway : IFleetSource, IDisposable
    {
        private readonly ReplicaDescription _replica;
        private readonly FleetTracker _fleet;
        private readonly AdmissionQueue _admission;
        private readonly IReplicaTransport _link;
        private int _arrivals;

        public OneReplicaGateway(LinkWorld world)
        {
            _replica = world.Replica.Description with { Slots = 2 };
            Current = new FleetView([_replica], [], Complete: true);
            _fleet = new FleetTracker(this);
            _admission = new AdmissionQueue(
                new AdmissionOptions(), new BalancingPolicies(BalancingPolicies.BuiltIn), _fleet, new FakeTimeProvider(), new SeededRandomSource(1));
            _link = world.CreateLink(_fleet, _admission);
        }

        public event Action? Changed;

        public FleetView Current { get; private set; }

        public Task<ReplicaLease> AcquireAsync() => _admission.AcquireAsync(
            new AdmissionRequest("m", new Arrival(0, ++_arrivals, 0), Displaced: false, null, "", []), CancellationToken.None).AsTask();

        public AttemptReader Read(Skein.Routing.Fleet.Replica replica, GenerateRequest request, CancellationToken cancellationToken) =>
            new(_link.GenerateAsync(replica, request, cancellationToken));

        public void LeaveAndComeBack()
        {
            Leave();
            NotifyOfChange();
        }

        public void Leave() => Show([]);

        public void NotifyOfChange() => Show([_replica with { Weight = _replica.Weight / 2 }]);

        public void Dispose()
        {
            _admission.Dispose();
            _fleet.Dispose();
        }

        private void Show(ReplicaDescription[] replicas)
        {
            Current = new FleetView(replicas, [], Complete: true);
            Changed?.Invoke();
        }
    }
}

public sealed class BusOfferTests() : OfferTests(LinkKind.Bus);

public sealed class InProcessOfferTests() : OfferTests(LinkKind.InProcess);
