using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
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

    /// <summary>Stands still, and is ahead: the deadlines of calls are far away on the clock of the machine.</summary>
    private readonly FakeTimeProvider _time = new(TimeProvider.System.GetUtcNow().AddHours(1));

    public async ValueTask InitializeAsync()
    {
        foreach (var linkKey in (string[])["the-key-of-the-group", "the-key-of-the-group", "the-key-of-the-others"])
        {
            var keys = LinkKeys.Parse(linkKey);
            var options = new GatewayOptions { Http = new(IPAddress.Loopback, 0), Grpc = new(IPAddress.Loopback, 0), Link = new LinkOptions { Keys = () => keys } };
            var gateway = GatewayApp.Build(options, builder => builder.Services.AddSingleton<TimeProvider>(_time));
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
        var (from, to) = await StreamsAsync(limit: 1);

        using var grant = GrantOf(to);
        await FindAsync(to, grant);

        grant.Begin("m");
        Assert.NotNull(MeterOf(from).Begin("m"));
        using var another = GrantOf(from);
        await FindAsync(from, another);
        Assert.Throws<FaultException>(() => another.Begin("m"));
    }

    [Fact]
    public async Task Find_ManyRequestsAtOnce_TakeAllPlacesOfTheOtherGateway()
    {
        // Three for each, of which the third gateway, which has the key of another group, gives none.
        var (from, to) = await StreamsAsync(limit: 9);
        for (var i = 0; i < 3; i++)
            Assert.Null(MeterOf(to).Begin("m"));

        await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => FindAsync(to, GrantOf(to))));

        Assert.Equal(3, Enumerable.Range(0, 20).Count(_ => MeterOf(to).Begin("m") is null));
        Assert.NotNull(MeterOf(from).Begin("m"));
    }

    /// <summary>Each refused request asked all gateways again.</summary>
    [Fact]
    public async Task Find_NoPlaceAnywhere_IsNotSearchedAgainForAMoment()
    {
        var (from, to) = await StreamsAsync(limit: 1);
        Assert.Null(MeterOf(from).Begin("m"));
        await FindAsync(to, GrantOf(to));
        MeterOf(from).End();

        await FindAsync(to, GrantOf(to));
        Assert.NotNull(MeterOf(to).Begin("m"));

        _time.Advance(TimeSpan.FromMilliseconds(100));
        await FindAsync(to, GrantOf(to));
        Assert.Null(MeterOf(to).Begin("m"));
    }

    /// <summary>Two gateways with a key whose requests at the same time are limited.</summary>
    /// <returns>One that has places, and one that has fewer or as many.</returns>
    private async Task<(int From, int To)> StreamsAsync(int limit)
    {
        var key = Key with { RequestsPerMinute = null, Streams = limit };
        foreach (var gateway in _gateways)
        {
            gateway.Keys.Use(new ApiKeyRing([key]));
            gateway.Services.GetRequiredService<ApiKeyStore>().MeterOf(key);
        }
        await AskAsync(0);
        await AskAsync(1);
        var (from, to) = MeterOf(0).NeedsPlace ? (1, 0) : (0, 1);
        Assert.Equal((false, limit == 1), (MeterOf(from).NeedsPlace, MeterOf(to).NeedsPlace));
        return (from, to);
    }

    private KeyGrant GrantOf(int gateway) => new(Key, MeterOf(gateway));

    private Task FindAsync(int gateway, KeyGrant grant) =>
        _gateways[gateway].Services.GetRequiredService<KeyUseLoop>().FindAsync(grant, TestContext.Current.CancellationToken);

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
