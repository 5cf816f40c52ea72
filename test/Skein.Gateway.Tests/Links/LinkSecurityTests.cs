using System.Net;
using System.Security.Cryptography.X509Certificates;
using Skein.Gateway.Links;
using Skein.Gateway.Tests.Security;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Serving.Grpc;
using Skein.Serving.Security;

namespace Skein.Gateway.Tests.Links;

/// <summary>A replica that asks gateways for a key, a certificate or both.</summary>
public sealed class LinkSecurityTests
{
    private static readonly LinkKeys Ours = LinkKeys.Parse("the-key-of-this-group");

    [Theory]
    [InlineData("the-key-of-this-group", true)]
    [InlineData("a-key-of-other-people", false)]
    [InlineData(null, false)]
    public async Task Describe_LinkKey_MustBeTheReplicas(string? gatewaysKeys, bool isAccepted)
    {
        var keys = gatewaysKeys is null ? null : LinkKeys.Parse(gatewaysKeys);
        await using var replica = await StartAsync(new ReplicaOptions { LinkKeys = () => Ours });
        await using var gateway = GatewayTo(replica, GatewaySide.Patient with { Keys = keys is null ? null : () => keys });

        if (isAccepted)
        {
            Assert.NotEmpty((await gateway.Link.DescribeAsync(gateway.Replica, gateway.Token)).Models);
        }
        else
        {
            var refusal = await Assert.ThrowsAsync<FaultException>(() => gateway.Link.DescribeAsync(gateway.Replica, gateway.Token));
            Assert.Equal((Fault.Unreachable, LinkKeyGate.Refusal), (refusal.Fault, refusal.Message));
            var unserved = await Assert.ThrowsAsync<FaultException>(() => gateway.Read("hello").RestAsync());
            Assert.NotEqual(Fault.InvalidRequest, unserved.Fault);
        }
    }

    /// <summary>To replace a key without an interruption, replicas accept the old and the new one meanwhile.</summary>
    [Fact]
    public async Task Describe_SecondKeyOfTheReplica_IsAccepted()
    {
        var both = LinkKeys.Parse("# new\nthe-newest-key-of-them\n\n# old\nthe-key-of-this-group");
        await using var replica = await StartAsync(new ReplicaOptions { LinkKeys = () => both });
        await using var gateway = GatewayTo(replica, GatewaySide.Patient with { Keys = () => Ours });

        Assert.NotEmpty((await gateway.Link.DescribeAsync(gateway.Replica, gateway.Token)).Models);
    }

    [Fact]
    public async Task Describe_EncryptedReplica_IsReachedThroughItsAuthorityOnly()
    {
        using var authority = TestCertificates.Authority("CN=members");
        using var stranger = TestCertificates.Authority("CN=others");
        using var certificate = TestCertificates.Issue(authority, "CN=replica.example");
        await using var replica = await StartAsync(new ReplicaOptions { Tls = () => new TlsIdentity(certificate, []) });
        await using var gateway = GatewayTo(replica, GatewaySide.Patient with { Authorities = [authority] });
        await using var other = GatewayTo(replica, GatewaySide.Patient with { Authorities = [stranger] });

        Assert.NotEmpty((await gateway.Link.DescribeAsync(gateway.Replica, gateway.Token)).Models);
        await Assert.ThrowsAsync<FaultException>(() => other.Link.DescribeAsync(other.Replica, other.Token));
    }

    [Fact]
    public async Task Describe_ReplicaThatAsksForACertificate_RefusesGatewaysWithoutOne()
    {
        using var authority = TestCertificates.Authority("CN=members");
        using var certificate = TestCertificates.Issue(authority, "CN=replica");
        using var gatewaysOwn = TestCertificates.Issue(authority, "CN=gateway");
        await using var replica = await StartAsync(new ReplicaOptions { Tls = () => new TlsIdentity(certificate, [], [authority]) });
        var options = GatewaySide.Patient with { Authorities = [authority] };
        await using var gateway = GatewayTo(replica, options with { Identity = () => new TlsIdentity(gatewaysOwn, []) });
        await using var other = GatewayTo(replica, options);

        Assert.NotEmpty((await gateway.Link.DescribeAsync(gateway.Replica, gateway.Token)).Models);
        await Assert.ThrowsAsync<FaultException>(() => other.Link.DescribeAsync(other.Replica, other.Token));
    }

    [Theory]
    [InlineData("", "it has 0 keys; allowed: 1 to 16, one per line")]
    [InlineData("# none\n", "it has 0 keys; allowed: 1 to 16, one per line")]
    [InlineData("the-key-of-this-group\nshort", "key 2 is not allowed; allowed: at least 16 visible ASCII characters")]
    [InlineData("a-key-that-is-not-aüscii", "key 1 is not allowed; allowed: at least 16 visible ASCII characters")]
    public void Parse_WrongKeys_AreNamedWithoutTheirText(string text, string problem) =>
        Assert.Equal(problem, Assert.Throws<ArgumentException>(() => LinkKeys.Parse(text)).Message);

    private static GatewaySide GatewayTo(ReplicaApp replica, LinkOptions options) =>
        new(options.Authorities is null ? replica.Endpoint.ToString() : $"https://{replica.Endpoint}", options);

    private static async Task<ReplicaApp> StartAsync(ReplicaOptions options)
    {
        var replica = ReplicaApp.Build(options with { Endpoint = new IPEndPoint(IPAddress.Loopback, 0) }, new KeyedEngine());
        await replica.StartAsync(TestContext.Current.CancellationToken);
        return replica;
    }
}
