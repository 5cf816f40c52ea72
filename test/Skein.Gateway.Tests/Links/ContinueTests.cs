using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Skein.Engines.Simulated;
using Skein.Gateway.Links;
using Skein.Gateway.Links.Bus;
using Skein.Protocol.V1;
using Skein.Serving.Grpc;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Links;

public sealed class ContinueTests : IAsyncDisposable
{
    private readonly CancellationTokenSource _deadline = new(TimeSpan.FromSeconds(30), TimeProvider.System);
    private readonly FakeTimeProvider _time = new();
    private readonly ReplicaApp _app;

    public ContinueTests() => _app = ReplicaApp.Build(
        new ReplicaOptions { Endpoint = new IPEndPoint(IPAddress.Loopback, 0) },
        SimulatedEngineFactory.Create(new SimulatedEngineOptions(), TimeProvider.System),
        builder => builder.Services.AddSingleton<TimeProvider>(_time));

    [Fact]
    public async Task ContinueAsync_HeldAttempt_GoesOn()
    {
        await _app.StartAsync(_deadline.Token);
        using var fleet = new FleetTracker(new OneReplica(_app.Endpoint));
        using var channels = new ReplicaChannels(fleet, GatewaySide.Patient);
        var link = new GrpcReplicaLink(channels);
        var replica = fleet.Current.Replicas.Single();
        await using var frames = link.GenerateAsync(replica, Held(), _deadline.Token).GetAsyncEnumerator(_deadline.Token);
        Assert.True(await frames.MoveNextAsync());
        Assert.NotNull(frames.Current.Start);

        await link.ContinueAsync(replica, new ContinueRequest { Session = "s", Attempt = 2 }, _deadline.Token);

        var rest = new List<GenerateFrame>();
        while (await frames.MoveNextAsync())
        {
            rest.Add(frames.Current);
        }

        Assert.Equal(5, rest.Sum(frame => (int)frame.Count));
        Assert.NotNull(rest[^1].Finish);
    }

    [Fact]
    public async Task ContinueAsync_NothingHeld_IsAResumeRefused()
    {
        await _app.StartAsync(_deadline.Token);

        var failure = await FailureAsync(_app.Endpoint);

        Assert.Equal((LinkError.ResumeRefused, "no attempt is held here for session 's', choice 0, attempt 2"), (failure.Error, failure.Message));
    }

    /// <summary>With the status of deadlines it was taken for a broken connection.</summary>
    [Fact]
    public async Task GenerateAsync_HeldTooLong_IsAResumeRefused()
    {
        await _app.StartAsync(_deadline.Token);
        using var fleet = new FleetTracker(new OneReplica(_app.Endpoint));
        using var channels = new ReplicaChannels(fleet, GatewaySide.Patient);
        var link = new GrpcReplicaLink(channels);
        var replica = fleet.Current.Replicas.Single();
        var held = Assert.ThrowsAsync<LinkException>(async () =>
        {
            await foreach (var frame in link.GenerateAsync(replica, Held(), _deadline.Token))
            {
                Assert.Equal(0u, frame.Count);
            }
        });
        while (!held.IsCompleted)
        {
            _time.Advance(TimeSpan.FromMilliseconds(125));
            await link.ProbeAsync(replica, _deadline.Token);
        }

        Assert.Equal(LinkError.ResumeRefused, (await held).Error);
    }

    [Fact]
    public async Task ContinueAsync_ReplicaGone_IsUnreachable()
    {
        await _app.StartAsync(_deadline.Token);
        await _app.AbortAsync();

        Assert.Equal(LinkError.Unreachable, (await FailureAsync(_app.Endpoint)).Error);
    }

    public async ValueTask DisposeAsync()
    {
        await _app.AbortAsync();
        await _app.DisposeAsync();
        _deadline.Dispose();
    }

    private static GenerateRequest Held() => new() { Text = "Tell me.", MaxTokens = 5, Session = "s", Attempt = 2, Hold = true };

    private async Task<LinkException> FailureAsync(IPEndPoint endpoint)
    {
        using var fleet = new FleetTracker(new OneReplica(endpoint));
        using var channels = new ReplicaChannels(fleet, GatewaySide.Patient);
        var link = new GrpcReplicaLink(channels);
        return await Assert.ThrowsAsync<LinkException>(
            () => link.ContinueAsync(fleet.Current.Replicas.Single(), new ContinueRequest { Session = "s", Attempt = 2 }, _deadline.Token));
    }

    private sealed class OneReplica(IPEndPoint endpoint) : IFleetSource
    {
        public event Action? Changed
        {
            add { }
            remove { }
        }

        public FleetView Current { get; } = new(
            [new ReplicaDescription { Id = new ReplicaId("replica-1", 1), Address = endpoint.ToString(), Models = ["simulated"], Slots = 4, Weight = 1, Fingerprint = "f" }],
            [],
            Complete: true);
    }
}
