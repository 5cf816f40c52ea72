using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Skein.Engines;
using Skein.Gateway.Links;
using Skein.Gateway.Links.Bus;
using Skein.Protocol.V1;
using Skein.Serving.Grpc;
using Skein.Routing.Fleet;

namespace Skein.Gateway.Tests.Links;

/// <summary>A replica on a free loopback port and the gateway's link to it.</summary>
internal sealed class BusWorld : GatewaySide
{
    private BusWorld(ReplicaApp app)
        : base(app.Endpoint.ToString()) => App = app;

    public ReplicaApp App { get; private set; }

    public static async Task<BusWorld> StartAsync(IInferenceEngine engine, ReplicaOptions? options = null, TimeProvider? time = null) =>
        new(await RunReplicaAsync(engine, new IPEndPoint(IPAddress.Loopback, 0), options, time));

    /// <summary>Kills the replica.</summary>
    public async Task KillAsync()
    {
        await App.AbortAsync();
        await App.DisposeAsync();
    }

    /// <summary>Starts it again at the same address.</summary>
    public async Task RestartAsync(IInferenceEngine engine) => App = await RunReplicaAsync(engine, App.Endpoint);

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        await KillAsync();
    }

    private static async Task<ReplicaApp> RunReplicaAsync(IInferenceEngine engine, IPEndPoint endpoint, ReplicaOptions? options = null, TimeProvider? time = null)
    {
        var app = ReplicaApp.Build(
            (options ?? new ReplicaOptions()) with { Endpoint = endpoint },
            engine,
            builder => builder.Services.AddSingleton(time ?? TimeProvider.System));
        await app.StartAsync();
        return app;
    }
}

/// <summary>The link of a gateway to one address. What is read from it has a deadline.</summary>
internal class GatewaySide : IAsyncDisposable
{
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    /// <summary>To connect takes longer than usual where the process stands still, and no test here is about a connection that is not made in time.</summary>
    public static readonly LinkOptions Patient = new() { ConnectTimeout = Deadline };

    private readonly FleetTracker _fleet;
    private readonly ReplicaChannels _channels;
    private readonly CancellationTokenSource _deadline = new(Deadline, TimeProvider.System);

    public GatewaySide(string address, LinkOptions? options = null)
    {
        _fleet = new FleetTracker(new FixedFleet(address));
        _channels = new ReplicaChannels(_fleet, options ?? GatewaySide.Patient);
        Link = new BusReplicaLink(_channels);
    }

    public BusReplicaLink Link { get; }

    public bool HasBus => _channels.HasBus(Replica);

    public Skein.Routing.Fleet.Replica Replica => _fleet.Current.Replicas.Single();

    public CancellationToken Token => _deadline.Token;

    public BusReader Read(GenerateRequest request, CancellationToken cancellation = default) =>
        new(Link.GenerateAsync(Replica, request, cancellation.CanBeCanceled ? cancellation : Token));

    public BusReader Read(string prompt, CancellationToken cancellation = default) => Read(new GenerateRequest { Text = prompt, Attempt = 1 }, cancellation);

    public virtual ValueTask DisposeAsync()
    {
        _channels.Dispose();
        _fleet.Dispose();
        _deadline.Dispose();
        return ValueTask.CompletedTask;
    }

    private sealed class FixedFleet(string address) : IFleetSource
    {
        public event Action? Changed
        {
            add { }
            remove { }
        }

        public FleetView Current { get; } = new(
            [new ReplicaDescription { Id = new ReplicaId("replica-1", 1), Address = address, Models = ["m"], Slots = 64 }], [], Complete: true);
    }
}

/// <summary>One attempt's frames, heartbeats left out unless asked for. Each read has a deadline.</summary>
internal sealed class BusReader(IAsyncEnumerable<GenerateFrame> frames) : IAsyncDisposable
{
    private readonly IAsyncEnumerator<GenerateFrame> _frames = frames.GetAsyncEnumerator();

    /// <summary>The next frame, heartbeats included.</summary>
    public async Task<GenerateFrame> NextOrBeatAsync()
    {
        Assert.True(await _frames.MoveNextAsync().AsTask().WaitAsync(GatewaySide.Deadline), "the attempt ended");
        return _frames.Current;
    }

    public async Task<GenerateFrame> NextAsync()
    {
        GenerateFrame frame;
        do
            frame = await NextOrBeatAsync();
        while (IsBeat(frame));
        return frame;
    }

    public async Task<List<GenerateFrame>> RestAsync()
    {
        var rest = new List<GenerateFrame>();
        while (await _frames.MoveNextAsync().AsTask().WaitAsync(GatewaySide.Deadline))
        {
            if (!IsBeat(_frames.Current))
                rest.Add(_frames.Current);
        }
        return rest;
    }

    public ValueTask DisposeAsync() => _frames.DisposeAsync();

    private static bool IsBeat(GenerateFrame frame) => frame is { Count: 0, Start: null, Finish: null };
}
