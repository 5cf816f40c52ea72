using Skein.Gateway.Links;
using Skein.Gateway.Links.Bus;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Links;

public sealed class ReplicaChannelsTests
{
    /// <summary>The channel stayed open until the next change of the fleet, which may never come.</summary>
    [Theory]
    [InlineData("short")]
    [InlineData("long")]
    public async Task Attempt_ReplicaLeftMeanwhile_ItsEndClosesTheChannel(string request)
    {
        var engine = new KeyedEngine();
        await using var world = await BusWorld.StartAsync(engine);
        var source = new Source(world.Replica.Description);
        using var fleet = new FleetTracker(source);
        using var channels = new ReplicaChannels(fleet, GatewaySide.Patient);
        var link = new BusReplicaLink(channels);
        var prompt = request == "long" ? new string('x', BusReplicaLink.MostRequestBytes) : request;
        await using var attempt = new AttemptReader(
            link.GenerateAsync(fleet.Current.Replicas.Single(), new GenerateRequest { Text = prompt, Attempt = 1 }, world.Token));
        engine.Of(prompt).Say(KeyedEngine.Start);
        await attempt.NextAsync();

        source.Leave();
        Assert.Equal(1, channels.Count);
        engine.Of(prompt).Say(KeyedEngine.Finish);

        Assert.NotNull((await attempt.RestAsync())[^1].Finish);
        Assert.Equal(0, channels.Count);
    }

    [Fact]
    public async Task Attempt_ReplicaLeftBefore_LeavesNoChannelBehind()
    {
        var engine = new KeyedEngine();
        await using var world = await BusWorld.StartAsync(engine);
        var source = new Source(world.Replica.Description);
        using var fleet = new FleetTracker(source);
        using var channels = new ReplicaChannels(fleet, GatewaySide.Patient);
        var replica = fleet.Current.Replicas.Single();
        source.Leave();
        engine.Of("late").Say(KeyedEngine.Start, KeyedEngine.Finish);

        var frames = await new AttemptReader(
            new BusReplicaLink(channels).GenerateAsync(replica, new GenerateRequest { Text = "late", Attempt = 1 }, world.Token)).RestAsync();

        Assert.NotNull(frames[^1].Finish);
        Assert.Equal(0, channels.Count);
    }

    /// <summary>It opened one bus after the other in a tight loop while each broke at once.</summary>
    [Fact]
    public async Task Attempt_EachBusBreaksAtOnce_EndsWithTheReason()
    {
        await using var gateway = new GatewaySide("127.0.0.1:1", GatewaySide.Patient with { CreateHandler = () => new BrokenHandler() });

        var end = await Assert.ThrowsAsync<FaultException>(() => Task.Run(() => gateway.Read("x").NextAsync()).WaitAsync(LinkWorld.Deadline));

        Assert.Equal(Fault.Unreachable, end.Fault);
    }

    private sealed class BrokenHandler : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            throw new HttpRequestException(HttpRequestError.ConnectionError);
    }

    private sealed class Source(ReplicaDescription replica) : IFleetSource
    {
        public event Action? Changed;

        public FleetView Current { get; private set; } = new([replica], [], Complete: true);

        public void Leave()
        {
            Current = new FleetView([], [], Complete: true);
            Changed?.Invoke();
        }
    }
}
