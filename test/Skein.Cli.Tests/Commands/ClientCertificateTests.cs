using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Skein.Cli.Members;
using Skein.Cli.Terminal;
using Skein.Engines;
using Skein.Engines.Simulated;
using Skein.Gateway;
using Skein.Gateway.Upstreams;
using Skein.Serving.Security;

namespace Skein.Cli.Tests.Commands;

/// <summary>Verbs of the command line in front of a gateway that asks for client certificates (mTLS).</summary>
public sealed class ClientCertificateTests : IAsyncLifetime
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory();
    private string _authority = "";
    private GatewayApp _gateway = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private string Certificate => Path.Combine(_folder.FullName, "client.crt");

    private string Key => Path.Combine(_folder.FullName, "client.key");

    public async ValueTask InitializeAsync()
    {
        (_authority, var serverKey) = DevCertificate.Write([], TimeProvider.System, _folder.FullName);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var client = new CertificateRequest("CN=client", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(200));
        PrivateFile.Write(Certificate, [client.ExportCertificatePem()]);
        PrivateFile.Write(Key, [key.ExportPkcs8PrivateKeyPem()]);
        var identity = new TlsIdentity(X509Certificate2.CreateFromPemFile(_authority, serverKey), [], [client]);
        _gateway = GatewayApp.Build(new GatewayOptions
        {
            Http = new IPEndPoint(IPAddress.Loopback, 0), Grpc = new IPEndPoint(IPAddress.Loopback, 0), Tls = () => identity,
        });
        _gateway.Upstreams.Add(new UpstreamOptions
        {
            Name = "one", ConnectAsync = stop => new SimulatedEngineFactory().CreateAsync(new EngineConfiguration("simulated", new Dictionary<EngineSetting, object>()), stop),
        });
        await _gateway.StartAsync(Stop);
        var began = TimeProvider.System.GetTimestamp();
        while (await RunAsync("chat --gateway {http} go", WithCertificate) is not (0, _))
            Assert.True(TimeProvider.System.GetElapsedTime(began) < TimeSpan.FromSeconds(30), "the engine is not served");
    }

    public async ValueTask DisposeAsync()
    {
        await _gateway.StopAsync(new CancellationToken(canceled: true));
        await _gateway.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    private string WithCertificate => $"--ca {_authority} --client-cert {Certificate} --client-key {Key}";

    /// <summary>There was no way to show a certificate: each verb failed.</summary>
    [Theory]
    [InlineData("status --gateway {http} --json")]
    [InlineData("chat --gateway {http} hello")]
    [InlineData("drain --gateway {http} one --grace 1s")]
    [InlineData("bench --target {http} --requests 2 --max-tokens 4 --json")]
    [InlineData("bench --target {grpc} --requests 2 --max-tokens 4 --json")]
    public async Task Run_GatewayAsksForACertificate_NeedsTheFlags(string verb)
    {
        Assert.Equal((0, ""), await RunAsync(verb, WithCertificate));

        var (exitCode, error) = await RunAsync(verb, $"--ca {_authority}");
        Assert.Equal(1, exitCode);
        if (verb.Contains("--gateway", StringComparison.Ordinal))
            Assert.Contains("--client-cert", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--client-cert a.pem", "skein: --client-key is missing; allowed: --client-cert and --client-key together")]
    [InlineData("--client-key a.pem", "skein: --client-cert is missing; allowed: --client-cert and --client-key together")]
    [InlineData("--client-cert /no/a.pem --client-key /no/b.pem", "skein: --client-cert /no/a.pem cannot be used with --client-key /no/b.pem: ")]
    public async Task Run_FlagsThatDoNotGoTogether_AreRefused(string flags, string message)
    {
        foreach (var verb in new[] { "status", "top", "chat hi", "drain a", "undrain a", "rollout --revision 2", "bench", "chaos" })
        {
            var (exitCode, error) = await RunAsync(verb, flags);
            Assert.Equal(2, exitCode);
            Assert.StartsWith(message, error, StringComparison.Ordinal);
        }
    }

    private async Task<(int ExitCode, string Error)> RunAsync(string verb, string flags)
    {
        using var error = new StringWriter();
        var words = $"{verb} {flags}".Replace("{http}", $"https://{_gateway.Http}", StringComparison.Ordinal)
            .Replace("{grpc}", $"grpcs://{_gateway.Grpc}", StringComparison.Ordinal).Split(' ');
        return (await CommandLine.RunAsync(SkeinCommand.Create(), words, error), error.ToString());
    }
}
