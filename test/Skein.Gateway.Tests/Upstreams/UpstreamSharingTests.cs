using System.Net;
using Google.Protobuf;
using Microsoft.Extensions.Logging.Abstractions;
using Skein.Engines;
using Skein.Gateway.Group;
using Skein.Gateway.Tests.Links;
using Skein.Gateway.Upstreams;
using Skein.Membership;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Fleet;
using Skein.Serving;

namespace Skein.Gateway.Tests.Upstreams;

/// <summary>Gateways of a group that serve the same server share its slots.</summary>
public sealed class UpstreamSharingTests : IAsyncLifetime
{
    private static readonly Uri Server = new("http://host:8000");
    private readonly OneGateway _a = new("gateway-a");
    private readonly OneGateway _b = new("gateway-b");

    public async ValueTask InitializeAsync()
    {
        await _a.ServeAsync(Server, slots: 7);
        await _b.ServeAsync(new Uri("http://host:8000/v1/"), slots: 7);
    }

    public ValueTask DisposeAsync()
    {
        _a.Dispose();
        _b.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public void Update_TwoGatewaysNameOneServer_EachHasItsPart()
    {
        Assert.Equal((7, 7), (_a.Slots, _b.Slots));

        Tell(Digests(Server), Digests(Server));

        Assert.Equal((4, 3), (_a.Slots, _b.Slots));
        Assert.Equal(3, _b.FleetSlots);
    }

    [Fact]
    public void Update_OneOfThemDies_TheOtherHasAll()
    {
        Tell(Digests(Server), Digests(Server));

        Tell(Digests(Server), Digests(Server), MemberState.Dead);

        Assert.Equal(7, _a.Slots);
    }

    [Fact]
    public void Update_TheOtherNamesAnotherServer_NothingIsShared()
    {
        Tell(Digests(Server), Digests(new Uri("http://host:8001")));

        Assert.Equal(7, _a.Slots);
    }

    [Fact]
    public void Update_HostileDigests_AreNoShare()
    {
        Tell(Digests(Server), ByteString.CopyFrom(1, 2, 3));

        Assert.Equal(7, _a.Slots);
    }

    [Fact]
    public void DigestsOf_ManyServers_FitIntoGossip()
    {
        var digests = UpstreamSharing.DigestsOf(Enumerable.Range(1, 64).Select(port => Of(new Uri($"http://host:{port}"))));

        Assert.Equal(4 * UpstreamSharing.MostDigests, digests.Length);
    }

    private static ByteString Digests(Uri url) => UpstreamSharing.DigestsOf([Of(url)]);

    private static UpstreamOptions Of(Uri url) => new() { Name = "u", Url = url, ConnectAsync = _ => throw new NotSupportedException() };

    private void Tell(ByteString ofA, ByteString ofB, MemberState ofB2 = MemberState.Alive)
    {
        var (a, b) = (Gateway("gateway-a", ofA, MemberState.Alive), Gateway("gateway-b", ofB, ofB2));
        _a.Group.Update(new MembershipSnapshot(1, a with { IsSelf = true }, [a with { IsSelf = true }, b], []));
        _b.Group.Update(new MembershipSnapshot(1, b with { IsSelf = true }, [a, b with { IsSelf = true }], []));
    }

    private static Member Gateway(string name, ByteString upstreams, MemberState state) => new()
    {
        Name = name,
        State = state,
        Generation = 1,
        Incarnation = 0,
        Gossip = new IPEndPoint(IPAddress.Loopback, 7946),
        Metadata = new MemberMetadata { Role = Roles.Gateway, Upstreams = upstreams },
    };

    private sealed class OneGateway : IDisposable
    {
        private readonly UpstreamFleet _fleet;
        private readonly EngineHost _host;
        private readonly string _name;

        public OneGateway(string name)
        {
            _name = name;
            _fleet = new UpstreamFleet(Group, TimeProvider.System);
            _host = new EngineHost(new KeyedEngine(), new EngineHostOptions { Slots = 7 }, TimeProvider.System, NullLoggerFactory.Instance);
        }

        public GroupFleet Group { get; } = new();

        public int Slots => _host.Control.Slots;

        public int FleetSlots => Assert.Single(_fleet.Current.Replicas).Slots;

        public async Task ServeAsync(Uri url, int slots)
        {
            await _host.StartAsync(TestContext.Current.CancellationToken);
            var row = _fleet.Add(_name, "upstream-1", [], url);
            _fleet.Up(row, new ReplicaDescription { Id = new ReplicaId(_name, 1), Address = "in-process", Models = ["m"], Slots = slots }, _host.Control);
        }

        public void Dispose()
        {
            _host.Dispose();
            _fleet.Dispose();
        }
    }
}
