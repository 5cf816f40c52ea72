using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Skein.Gateway.Keys;
using Skein.Gateway.Links;
using Skein.Gateway.Peers;
using Skein.Membership;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Serving.Security;

namespace Skein.Gateway.Tests.Peers;

/// <summary>Three whole gateways that ask each other over gRPC.</summary>
public sealed class KeyUseLoopTests : IAsyncLifetime
{
    private static readonly ApiKey Key = new() { Name = "k", Hash = ApiKey.HashOf("secret of this key"), RequestsPerMinute = 30 };

    private readonly List<GatewayApp> _gateways = [];

    public async ValueTask InitializeAsync()
    {
        foreach (var linkKey in (string[])["the-key-of-the-group", "the-key-of-the-group", "the-key-of-the-others"])
        {
            var keys = LinkKeys.Parse(linkKey);
            var options = new GatewayOptions { Http = new(IPAddress.Loopback, 0), Grpc = new(IPAddress.Loopback, 0), Link = new LinkOptions { Keys = () => keys } };
            var gateway = GatewayApp.Build(options);
            _gateways.Add(gateway);
            gateway.Keys.Use(new ApiKeyRing([Key]));
            await gateway.StartAsync(TestContext.Current.CancellationToken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var gateway in _gateways)
        {
            await gateway.StopAsync(new CancellationToken(canceled: true));
            await gateway.DisposeAsync();
        }
    }

    [Fact]
    public async Task Ask_GatewaysWithTheKeyOfTheGroup_ShareTheLimit()
    {
        await AskAsync(0);
        await AskAsync(1);
        for (var i = 0; i < 10; i++)
            Assert.Null(MeterOf(0).Begin("m"));

        await AskAsync(1);
        await AskAsync(2);

        Assert.InRange(MeterOf(1).Report()!.RequestsLeft, 19, 21);
        Assert.InRange(MeterOf(2).Report()!.RequestsLeft, 29, 30);
    }

    [Fact]
    public async Task Find_PlaceOfAnotherGateway_MovesHere()
    {
        var key = Key with { Streams = 1 };
        foreach (var gateway in _gateways)
        {
            gateway.Keys.Use(new ApiKeyRing([key]));
            gateway.Services.GetRequiredService<ApiKeyStore>().MeterOf(key);
        }

        await AskAsync(0);
        await AskAsync(1);
        var (from, to) = MeterOf(0).NeedsPlace ? (1, 0) : (0, 1);
        Assert.Equal((false, true), (MeterOf(from).NeedsPlace, MeterOf(to).NeedsPlace));

        using var grant = new KeyGrant(key, MeterOf(to));
        await _gateways[to].Services.GetRequiredService<KeyUseLoop>().FindAsync(grant, TestContext.Current.CancellationToken);

        grant.Begin("m");
        Assert.NotNull(MeterOf(from).Begin("m"));
        using var another = new KeyGrant(key, MeterOf(from));
        await _gateways[from].Services.GetRequiredService<KeyUseLoop>().FindAsync(another, TestContext.Current.CancellationToken);
        Assert.Throws<FaultException>(() => another.Begin("m"));
    }

    private KeyMeter MeterOf(int gateway) => _gateways[gateway].Services.GetRequiredService<ApiKeyStore>().MeterOf(Key);

    private Task AskAsync(int gateway) =>
        _gateways[gateway].Services.GetRequiredService<KeyUseLoop>().AskAsync(GroupOf(gateway), TestContext.Current.CancellationToken);

    private MembershipSnapshot GroupOf(int self)
    {
        List<Member> members =
        [
            .. _gateways.Select((gateway, index) => new Member
            {
                Name = $"gateway-{index}", State = MemberState.Alive, Generation = 1, Incarnation = 0, Gossip = new IPEndPoint(IPAddress.Loopback, 7946),
                IsSelf = index == self, Metadata = new MemberMetadata { Role = Roles.Gateway, Grpc = gateway.Grpc.ToString() },
            }),
        ];
        return new MembershipSnapshot(1, members[self], [.. members], []);
    }
}
