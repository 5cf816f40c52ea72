using System.Net;
using Skein.Cli.Members;
using Skein.Cli.Terminal;

namespace Skein.Cli.Tests;

public sealed class OpenDoorsTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Lines_EveryMember_FitIntoATerminal(bool isClosed)
    {
        var bind = isClosed ? IPAddress.Loopback : IPAddress.Parse("10.0.0.1");
        string[] lines =
        [
            .. OpenDoors.OfGateway(bind, new OpenKeys(isClosed, isClosed), isClosed, isClosed ? "/trial.crt" : null, isClosed),
            .. OpenDoors.OfGateway(bind, new OpenKeys(ForClients: false, ForAdmins: true), isClosed, null, isClosed),
            .. OpenDoors.OfGateway(bind, default, isClosed, null, isClosed, hasClientAuthority: true),
            .. OpenDoors.OfReplica(bind, isClosed, isClosed, isClosed ? "/trial.crt" : null, isClosed),
            .. OpenDoors.OfCluster(bind, new OpenKeys(isClosed, isClosed), isClosed, isClosed, isClosed),
        ];

        Assert.NotEmpty(lines);
        Assert.All(lines, line => Assert.InRange(line.Length, 1, 78));
    }

    [Fact]
    public void OfGateway_WithKeys_NamesEveryPathThatNeedsNone()
    {
        var lines = OpenDoors.OfGateway(IPAddress.Loopback, new OpenKeys(ForClients: true, ForAdmins: true), hasTls: true, trial: null, hasGossipKeys: true).ToList();

        Assert.Equal("open without a key: / /dashboard/* /livez /readyz /health /ping", lines[0]);
        Assert.Equal("open with any key: HTTP and gRPC, /version and /openapi.json too", lines[1]);
        Assert.Equal(3, lines.Count);
    }

    /// <summary>A gateway that refuses clients without a certificate was said to be open to everybody.</summary>
    [Fact]
    public void OfGateway_WithClientAuthority_IsNotOpenToEverybody()
    {
        var block = string.Join('\n', OpenDoors.OfGateway(IPAddress.Loopback, default, hasTls: true, trial: null, hasGossipKeys: true, hasClientAuthority: true));

        Assert.StartsWith("closed to clients without a certificate (--tls-client-ca)", block, StringComparison.Ordinal);
        Assert.DoesNotContain("everybody", block, StringComparison.Ordinal);
        Assert.Contains("open to all of them (close: --api-key-file)", block, StringComparison.Ordinal);
    }

    [Fact]
    public void OfCluster_Open_NamesEachFlagThatCloses()
    {
        var block = string.Join('\n', OpenDoors.OfCluster(IPAddress.Loopback, default, hasTls: false, hasLinkKeys: false, hasGossipKeys: false));

        Assert.All(
            ["--api-key-file", "--admin-key-file", "--tls-dev", "SKEIN_LINK_KEY_FILE", "SKEIN_GOSSIP_KEY_FILE", "/openapi.json", "/version"],
            text => Assert.Contains(text, block, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("10.255.255.1", "127.0.0.1", true)]
    [InlineData("10.255.255.1:7946", "127.0.0.1", true)]
    [InlineData("host-a:7946", "::1", true)]
    [InlineData("localhost:7946", "127.0.0.1", false)]
    [InlineData("127.0.0.1:7946", "127.0.0.1", false)]
    [InlineData("[::1]:7946", "::1", false)]
    [InlineData("10.255.255.1:7946", "10.0.0.1", false)]
    public void HintFor_SeedOnAnotherHost_NamesTheLoopbackAddress(string seed, string listensOn, bool isTold)
    {
        var hint = SeedWatch.HintFor(seed, IPAddress.Parse(listensOn));

        Assert.Equal(isTold, hint.Contains($"this member listens on {listensOn} only", StringComparison.Ordinal));
        Assert.Equal(isTold, hint.Length > 0);
    }

    [Fact]
    public void ApiKeyFile_NoJson_IsToldInOnePlainLine()
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, "{\n  \"keys\": [}");

            var refusal = Assert.Throws<UsageException>(() => new ApiKeyFile(file, "--api-key-file").Read());

            Assert.Equal($"--api-key-file {file} is no valid JSON: line 2, byte 12", refusal.Message);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
