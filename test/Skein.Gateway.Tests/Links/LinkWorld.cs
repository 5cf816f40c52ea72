using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Skein.Engines;
using Skein.Gateway.Links;
using Skein.Gateway.Links.Bus;
using Skein.Gateway.Links.InProcess;
using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;
using Skein.Serving;
using Skein.Serving.Grpc;

namespace Skein.Gateway.Tests.Links;

/// <summary>The kinds of links to a replica, which must all behave the same.</summary>
public enum LinkKind
{
    Bus,
    Call,
    InProcess,
}

/// <summary>A replica and a gateway's link to it. Every read has a deadline.</summary>
internal abstract class LinkWorld : IAsyncDisposable
{
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    private readonly CancellationTokenSource _deadline = new(Deadline, TimeProvider.System);
    private readonly FleetTracker _fleet;
    private readonly Lazy<IReplicaTransport> _link;

    protected LinkWorld(string address, ulong generation = 1)
    {
        _fleet = new FleetTracker(new FixedFleet(address, generation));
        _link = new Lazy<IReplicaTransport>(() => CreateLink(_fleet, admission: null));
    }

    public IReplicaTransport Link => _link.Value;

    public Skein.Routing.Fleet.Replica Replica => _fleet.Current.Replicas.Single();

    public CancellationToken Token => _deadline.Token;

    /// <summary>The replica's own state.</summary>
    public abstract IReplicaControl Control { get; }

    public static async Task<LinkWorld> StartAsync(LinkKind kind, IInferenceEngine engine, EngineHostOptions? options = null, TimeProvider? time = null) =>
        kind == LinkKind.InProcess
            ? await InProcessWorld.StartAsync(engine, options ?? new EngineHostOptions(), time ?? TimeProvider.System)
            : await BusWorld.StartAsync(engine, new ReplicaOptions { StandbyTimeout = (options ?? new EngineHostOptions()).StandbyTimeout }, time, kind == LinkKind.Call);

    /// <summary>Another link to the replica, of a gateway of its own.</summary>
    public abstract IReplicaTransport CreateLink(FleetTracker fleet, AdmissionQueue? admission);

    public AttemptReader Read(GenerateRequest request, CancellationToken cancellation = default) =>
        new(Link.GenerateAsync(Replica, request, cancellation.CanBeCanceled ? cancellation : Token));

    public AttemptReader Read(string prompt, CancellationToken cancellation = default) => Read(new GenerateRequest { Text = prompt, Attempt = 1 }, cancellation);

    public virtual ValueTask DisposeAsync()
    {
        _fleet.Dispose();
        _deadline.Dispose();
        return ValueTask.CompletedTask;
    }

    private sealed class FixedFleet(string address, ulong generation) : IFleetSource
    {
        public event Action? Changed
        {
            add { }
            remove { }
        }

        public FleetView Current { get; } = new(
            [new ReplicaDescription { Id = new ReplicaId("replica-1", generation), Address = address, Models = ["m"], Slots = 64 }], [], Complete: true);
    }
}

/// <summary>The link of a gateway to one address.</summary>
internal class GatewaySide(string address, LinkOptions? options = null, bool isCallPerAttempt = false) : LinkWorld(address)
{
    /// <summary>Longer than usual, because a busy machine delays connections and no test here is about a connection timeout.</summary>
    public static readonly LinkOptions Patient = new() { ConnectTimeout = Deadline };

    private readonly List<ReplicaChannels> _channels = [];

    public bool HasBus => _channels[0].HasBus(Replica);

    public override IReplicaControl Control => throw new NotSupportedException("the replica is the test's own");

    public override IReplicaTransport CreateLink(FleetTracker fleet, AdmissionQueue? admission)
    {
        var channels = new ReplicaChannels(fleet, options ?? Patient, admission);
        _channels.Add(channels);
        return isCallPerAttempt ? new GrpcReplicaLink(channels) : new BusReplicaLink(channels);
    }

    public override ValueTask DisposeAsync()
    {
        _channels.ForEach(channels => channels.Dispose());
        return base.DisposeAsync();
    }
}

internal static class ReplicaAbort
{
    /// <summary>Closes every connection at once, as when the process is killed.</summary>
    public static async Task AbortAsync(this ReplicaApp app)
    {
        try
        {
            await app.StopAsync(new CancellationToken(canceled: true));
        }
        catch (OperationCanceledException)
        {
            // The host throws this when it is stopped without grace.
        }
    }
}

/// <summary>A replica on a free loopback port and the gateway's link to it.</summary>
internal sealed class BusWorld : GatewaySide
{
    private BusWorld(ReplicaApp app, bool isCallPerAttempt)
        : base(app.Endpoint.ToString(), options: null, isCallPerAttempt) => App = app;

    public ReplicaApp App { get; private set; }

    public override IReplicaControl Control => App.Control;

    public static async Task<BusWorld> StartAsync(
        IInferenceEngine engine, ReplicaOptions? options = null, TimeProvider? time = null, bool isCallPerAttempt = false) =>
        new(await RunReplicaAsync(engine, new IPEndPoint(IPAddress.Loopback, 0), options, time), isCallPerAttempt);

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

/// <summary>A replica in this process.</summary>
internal sealed class InProcessWorld : LinkWorld
{
    private readonly EngineHost _host;
    private readonly TimeProvider _time;
    private readonly List<InProcessReplicaLink> _links = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;

    private InProcessWorld(EngineHost host, TimeProvider time)
        : base(InProcessReplicaLink.Address)
    {
        (_host, _time) = (host, time);
        _running = host.RunAsync(_stop.Token);
    }

    public EngineHost Host => _host;

    public override IReplicaControl Control => _host.Control;

    public static async Task<InProcessWorld> StartAsync(IInferenceEngine engine, EngineHostOptions options, TimeProvider time)
    {
        var host = new EngineHost(engine, options with { Generation = 1 }, time, NullLoggerFactory.Instance);
        await host.StartAsync(CancellationToken.None);
        return new InProcessWorld(host, time);
    }

    public override IReplicaTransport CreateLink(FleetTracker fleet, AdmissionQueue? admission)
    {
        var link = new InProcessReplicaLink(_time, NullLogger<InProcessReplicaLink>.Instance, admission);
        link.Add(new ReplicaId("replica-1", 1), _host);
        _links.Add(link);
        return link;
    }

    public override async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _links.ForEach(link => link.Dispose());
        _host.Dispose();
        _stop.Dispose();
        await base.DisposeAsync();
    }
}

/// <summary>One attempt's frames, heartbeats left out unless asked for. Each read has a deadline.</summary>
internal sealed class AttemptReader(IAsyncEnumerable<GenerateFrame> frames) : IAsyncDisposable
{
    private readonly IAsyncEnumerator<GenerateFrame> _frames = frames.GetAsyncEnumerator();

    /// <summary>The next frame, heartbeats included.</summary>
    public async Task<GenerateFrame> NextOrBeatAsync()
    {
        Assert.True(await _frames.MoveNextAsync().AsTask().WaitAsync(LinkWorld.Deadline), "the attempt ended");
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
        while (await _frames.MoveNextAsync().AsTask().WaitAsync(LinkWorld.Deadline))
        {
            if (!IsBeat(_frames.Current))
                rest.Add(_frames.Current);
        }
        return rest;
    }

    public ValueTask DisposeAsync() => _frames.DisposeAsync();

    private static bool IsBeat(GenerateFrame frame) => frame is { Count: 0, Start: null, Finish: null };
}
