using System.Net;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Skein.Gateway.Group;
using Skein.Gateway.Links;
using Skein.Membership;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Serving.Grpc;
using Skein.Serving.Security;

namespace Skein.Gateway.Tests.Links;

/// <summary>A replica that refuses the link key of a whole gateway.</summary>
public sealed class LinkKeyRefusalTests
{
    private static readonly LinkKeys Ours = LinkKeys.Parse("the-key-of-this-group");

    /// <summary>The gateway was ready, the member alive, and requests waited for the replica until their time was over.</summary>
    [Fact]
    public async Task Describe_LinkKeyIsRefused_GatewayIsNotReadyAndSaysWhyUntilItHasTheKey()
    {
        var stop = TestContext.Current.CancellationToken;
        await using var replica = ReplicaApp.Build(new ReplicaOptions { LinkKeys = () => Ours, Endpoint = new(IPAddress.Loopback, 0) }, new KeyedEngine());
        await replica.StartAsync(stop);
        var keys = LinkKeys.Parse("a-key-of-other-people");
        await using var gateway = GatewayApp.Build(new GatewayOptions
        {
            Http = new(IPAddress.Loopback, 0), Grpc = new(IPAddress.Loopback, 0), Link = new LinkOptions { Keys = () => Volatile.Read(ref keys) },
        });
        await gateway.StartAsync(stop);
        using var http = new HttpClient { BaseAddress = new Uri($"http://{gateway.Http}"), Timeout = TimeSpan.FromSeconds(10) };
        var group = GroupOf(gateway, replica);
        var directory = gateway.Services.GetRequiredService<GroupDirectory>();
        directory.Update(group);
        gateway.Services.GetRequiredService<GroupFleet>().Update(group);

        await UntilAsync(() => directory.Members.Any(member => member.Reason.Length > 0));
        Assert.Equal(
            "it refuses the link key of this gateway; allowed: a key of its --link-key-file", directory.Members.Single(member => member.Name == "r").Reason);
        Assert.Equal("refusing", directory.Members.Single(member => member.Name == "r").Health);
        using var ready = await http.GetAsync(new Uri("/readyz", UriKind.Relative), stop);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
        Assert.Contains("0 of 1 replicas are ready; 1 refuse the link key of this gateway", await ready.Content.ReadAsStringAsync(stop), StringComparison.Ordinal);
        using var body = new StringContent("""{"model":"m","messages":[{"role":"user","content":"x"}]}""", Encoding.UTF8, "application/json");
        using var answer = await http.PostAsync(new Uri("/v1/chat/completions", UriKind.Relative), body, stop);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Contains("it refuses the link key of this gateway", await answer.Content.ReadAsStringAsync(stop), StringComparison.Ordinal);

        Volatile.Write(ref keys, Ours);
        await UntilAsync(() => directory.Members.All(member => member.Reason.Length == 0));
        using var served = await http.GetAsync(new Uri("/readyz", UriKind.Relative), stop);
        Assert.Equal(HttpStatusCode.OK, served.StatusCode);
        await gateway.StopAsync(new CancellationToken(canceled: true));
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        var since = TimeProvider.System.GetTimestamp();
        while (!condition())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(since) < TimeSpan.FromSeconds(20), "the reason of the replica did not change");
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, TestContext.Current.CancellationToken);
        }
    }

    private static MembershipSnapshot GroupOf(GatewayApp gateway, ReplicaApp replica)
    {
        var (self, other) = (MemberOf("g", Roles.Gateway, gateway.Grpc), MemberOf("r", Roles.Replica, replica.Endpoint));
        other.Metadata.Models.Add("m");
        other.Metadata.ModelsDigest = 1;
        return new MembershipSnapshot(1, self, [self, other], []);
    }

    private static Member MemberOf(string name, string role, IPEndPoint grpc) => new()
    {
        Name = name, State = MemberState.Alive, Generation = 1, Incarnation = 0, Gossip = new IPEndPoint(IPAddress.Loopback, 7946),
        IsSelf = role == Roles.Gateway, Metadata = new MemberMetadata { Role = role, Grpc = grpc.ToString(), Slots = 1 },
    };
}
