using System.Net;
using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>Servers over TLS with certificates of an authority that the system does not know.</summary>
public sealed class TlsTests : IDisposable
{
    private readonly TestAuthority _authority = new();

    public void Dispose() => _authority.Dispose();

    [Fact]
    public async Task AuthorityIsConfigured_IsServed()
    {
        using var certificate = _authority.Issue(IPAddress.Loopback);
        await using var server = new ScriptedServer();
        await using var front = new TlsFront(server, certificate);
        await using var gateway = await TestGateway.StartAsync(Trusting(_authority), [front.Url]);

        Expect.Answer(await gateway.ChatAsync(), SmallModel.Text);
        Expect.Answer(await gateway.ChatAsync(""), SmallModel.Text);
        Assert.Equal(2, server.Generations);
    }

    [Theory]
    [InlineData("none")]
    [InlineData("another authority")]
    [InlineData("another address")]
    public async Task CertificateIsNotTrusted_IsNotServedAndTheReasonIsTold(string fault)
    {
        using var other = new TestAuthority();
        using var certificate = _authority.Issue(fault == "another address" ? IPAddress.Parse("192.0.2.1") : IPAddress.Loopback);
        await using var server = new ScriptedServer();
        await using var front = new TlsFront(server, certificate);
        var setup = fault == "none" ? new TestGateway.Setup() : Trusting(fault == "another authority" ? other : _authority);
        await using var gateway = await TestGateway.StartAsync(setup with { Awaits = false }, [front.Url]);

        var reply = await gateway.ChatAsync();
        var row = await gateway.StatusAsync(front.Name);

        Expect.Refusal(reply, 503, "TLS");
        Expect.NoAddress(reply);
        Assert.Contains("TLS", Reply.Find(row, "reason")?.GetString(), StringComparison.Ordinal);
        Assert.Contains("certificate", Reply.Find(row, "reason")?.GetString(), StringComparison.OrdinalIgnoreCase);
        Assert.Contains(gateway.Log.With(front.Name), line => line.Message.Contains("TLS", StringComparison.Ordinal));
        Assert.Empty(server.Requests);
    }

    private static TestGateway.Setup Trusting(TestAuthority authority) => new() { Server = options => options with { TrustedRoots = [authority.Root] } };
}
