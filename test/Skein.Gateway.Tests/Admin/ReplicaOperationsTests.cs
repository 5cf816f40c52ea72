using System.Net;
using Skein.Engines.Simulated;
using Skein.Gateway.Admin;
using Skein.Gateway.Links;
using Skein.Gateway.Links.Bus;
using Skein.Gateway.Tests.Links;
using Skein.Protocol.V1;
using Skein.Serving.Grpc;
using Skein.Routing;
using Skein.Routing.Admission;
using Skein.Routing.Balancing;
using Skein.Routing.Fleet;

namespace Skein.Gateway.Tests.Admin;

/// <summary>Operators' calls to a real replica on a real socket.</summary>
public sealed class ReplicaOperationsTests : IAsyncLifetime
{
    private readonly Group _group = new();
    private readonly FleetTracker _fleet;
    private readonly AdmissionQueue _admission;
    private readonly ReplicaChannels _channels;
    private readonly ReplicaOperations _operations;
    private readonly ReplicaApp _replica;

    public ReplicaOperationsTests()
    {
        _fleet = new FleetTracker(_group);
        _admission = new AdmissionQueue(new AdmissionOptions(), new BalancingPolicies(BalancingPolicies.BuiltIn), _fleet, TimeProvider.System, new SeededRandomSource(1));
        _channels = new ReplicaChannels(_fleet, GatewaySide.Patient);
        _operations = new ReplicaOperations(
            _group, _fleet, _admission, new GrpcReplicaLink(_channels), GatewaySide.Patient, TimeProvider.System);
        _replica = ReplicaApp.Build(
            new ReplicaOptions { Endpoint = new IPEndPoint(IPAddress.Loopback, 0), Generation = Group.Generation },
            SimulatedEngineFactory.Create(new SimulatedEngineOptions(), TimeProvider.System));
    }

    public async ValueTask InitializeAsync()
    {
        await _replica.StartAsync();
        _group.Put(_replica.Endpoint.ToString());
    }

    public async ValueTask DisposeAsync()
    {
        _channels.Dispose();
        _admission.Dispose();
        _fleet.Dispose();
        await _replica.AbortAsync();
        await _replica.DisposeAsync();
    }

    [Theory]
    [InlineData(1e99, "1E+99")]
    [InlineData(-1, "-1")]
    [InlineData(86_400.5, "86400.5")]
    public async Task DrainAsync_GraceOutOfRange_IsRefusedWithItsValue(double graceSeconds, string value)
    {
        var refused = await Assert.ThrowsAsync<AdminRefusedException>(() => _operations.DrainAsync("r1", graceSeconds, TestContext.Current.CancellationToken));

        Assert.Equal($"graceSeconds {value} is out of range; allowed: 0 to 86400", refused.Message);
    }

    [Fact]
    public async Task Drain_IsKnownHereBeforeTheGroupHeardOfIt()
    {
        var drained = await _operations.DrainAsync("r1", graceSeconds: 30, TestContext.Current.CancellationToken);

        Assert.True(drained is { Draining: true, Changed: true, InFlight: 0, Blocked: null, Restartable: false });
        Assert.InRange(drained.GraceLeftSeconds, 0.001, 30);
        Assert.True(_operations.Find("r1").Draining);

        await _operations.UndrainAsync("r1", TestContext.Current.CancellationToken);
        Assert.False(_operations.Find("r1").Draining);
    }

    [Fact]
    public async Task Probe_AsksTheReplicaItself_AndSaysWhyItDoesNotAnswer()
    {
        var answer = Assert.Single(await _operations.ProbeAsync("r1", TestContext.Current.CancellationToken));
        Assert.Equal(("simulated", 8), (answer.Model, answer.Tokens));

        _replica.Control.Drain();
        var refused = await Assert.ThrowsAsync<AdminRefusedException>(() => _operations.ProbeAsync("r1", TestContext.Current.CancellationToken));
        Assert.Equal((502, "r1 did not answer with simulated: the replica is draining"), (refused.Status, refused.Message));
    }

    [Theory]
    [InlineData("nobody", 404, "'nobody' is not a member of the group; allowed: r1")]
    [InlineData("g1", 400, "g1 is a gateway; allowed: a replica")]
    [InlineData("r9", 409, "r9 is dead: only a live replica can be asked")]
    public async Task Drain_NoLiveReplica_IsRefusedByName(string name, int status, string message)
    {
        var refused = await Assert.ThrowsAsync<AdminRefusedException>(() => _operations.DrainAsync(name, graceSeconds: 0, TestContext.Current.CancellationToken));

        Assert.Equal((status, message), (refused.Status, refused.Message));
    }

    [Fact]
    public async Task Drain_ReplicaThatIsGone_TheErrorNamesIt()
    {
        await _replica.AbortAsync();

        var refused = await Assert.ThrowsAsync<AdminRefusedException>(() => _operations.DrainAsync("r1", graceSeconds: 0, TestContext.Current.CancellationToken));

        Assert.Equal(502, refused.Status);
        Assert.StartsWith("r1 does not answer: ", refused.Message);
    }

    [Fact]
    public async Task Restart_WithoutASupervisor_IsRefused()
    {
        var refused = await Assert.ThrowsAsync<AdminRefusedException>(() => _operations.RestartAsync("r1", "r2", TestContext.Current.CancellationToken));

        Assert.Equal((409, "r1: nothing would start this replica again: it does not run under 'skein up'"), (refused.Status, refused.Message));
    }

    private sealed class Group : IFleetSource, IMemberDirectory
    {
        public const ulong Generation = 7;

        public event Action? Changed;

        public FleetView Current { get; private set; } = FleetView.Empty;

        public IReadOnlyList<MemberStatus> Members { get; } =
        [
            new MemberStatus { Name = "g1", Role = "gateway", State = "alive" },
            new MemberStatus { Name = "r1", Role = "replica", State = "alive", Models = { "simulated" } },
            new MemberStatus { Name = "r9", Role = "replica", State = "dead", Models = { "simulated" } },
        ];

        public void Put(string address)
        {
            Current = new FleetView([new ReplicaDescription { Id = new ReplicaId("r1", Generation), Address = address, Models = ["simulated"], Slots = 4 }], [], Complete: true);
            Changed?.Invoke();
        }
    }
}
