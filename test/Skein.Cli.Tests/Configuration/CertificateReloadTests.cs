using System.Collections;
using System.CommandLine;
using System.Net;
using System.Net.Http.Json;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Skein.Cli.Commands;
using Skein.Cli.Configuration;
using Skein.Cli.Members;
using Skein.Cli.Settings;
using Skein.Cli.Tests.Settings;
using Skein.Gateway;
using Skein.Gateway.Keys;
using Skein.Routing.Fleet;

namespace Skein.Cli.Tests.Configuration;

/// <summary>Certificates in the configuration file of a gateway that runs.</summary>
public sealed class CertificateReloadTests : ReloadedGateway
{
    [Fact]
    public async Task Follow_CertificateIsBrokenAndMended_IsInLogAndStateAndThenInUse()
    {
        var files = MakeCertificate("first");
        await StartAsync(Tls(files));
        var certificates = CertificateFiles.Open(TestSources.Of(CertificateFiles.All, $"--tls-cert {files.Certificate} --tls-key {files.Key}"))!;
        var time = new FakeTimeProvider();
        using var following = certificates.Follow(time, new FileReports(_log, _gateway.Configuration));
        var whole = await System.IO.File.ReadAllTextAsync(files.Certificate, Stop);

        await System.IO.File.WriteAllTextAsync(files.Certificate, "no certificate", Stop);
        System.IO.File.SetLastWriteTimeUtc(files.Certificate, DateTime.UnixEpoch.AddYears(60));
        time.Advance(TimeSpan.FromSeconds(3));

        Assert.Contains(files.Certificate, Problem, StringComparison.Ordinal);
        Assert.Equal((1, LogLevel.Error), (_log.Count(4014), _log.LevelOf(4014)));
        await System.IO.File.WriteAllTextAsync(files.Certificate, whole, Stop);
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.Null(Problem);
    }

    /// <summary>A certificate under another path needed a restart.</summary>
    [Fact]
    public async Task Check_CertificateUnderAnotherPath_IsShownFromTheNextConnectionOn()
    {
        var (first, second) = (MakeCertificate("first"), MakeCertificate("second"));
        await StartAsync(Tls(first));
        Assert.Equal(await SerialAsync(first), await ShownSerialAsync());

        await ChangeAsync(Tls(second));

        Assert.Null(Problem);
        Assert.Equal(await SerialAsync(second), await ShownSerialAsync());
        await ChangeAsync("{}");
        Assert.EndsWith("'tlsCert' to none: TLS is switched on and off at the start; nothing of it was applied", Problem, StringComparison.Ordinal);
        Assert.Equal(await SerialAsync(second), await ShownSerialAsync());
    }

    private static string Tls((string Certificate, string Key) files) => JsonSerializer.Serialize(new { tlsCert = files.Certificate, tlsKey = files.Key });

    private (string Certificate, string Key) MakeCertificate(string name) =>
        DevCertificate.Write([], TimeProvider.System, _folder.CreateSubdirectory(name).FullName);

    private static async Task<string> SerialAsync((string Certificate, string Key) files)
    {
        using var certificate = X509Certificate2.CreateFromPem(await System.IO.File.ReadAllTextAsync(files.Certificate, Stop));
        return certificate.SerialNumber;
    }

    private async Task<string?> ShownSerialAsync()
    {
        string? shown = null;
        using var tcp = new System.Net.Sockets.TcpClient();
        await tcp.ConnectAsync(_gateway.Http, Stop);
        await using var tls = new SslStream(tcp.GetStream(), leaveInnerStreamOpen: false, (_, certificate, _, _) => (shown = certificate?.GetSerialNumberString()) is not null);
        await tls.AuthenticateAsClientAsync("localhost");
        return shown;
    }
}
