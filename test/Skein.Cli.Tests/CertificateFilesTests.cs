using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Skein.Cli.Members;
using Skein.Cli.Tests.Settings;

namespace Skein.Cli.Tests;

public sealed class CertificateFilesTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory();
    private readonly FakeTimeProvider _time = new();

    private string Certificate => Path.Combine(_folder.FullName, "tls.crt");

    private string Key => Path.Combine(_folder.FullName, "tls.key");

    public void Dispose() => _folder.Delete(recursive: true);

    /// <summary>The key came after the certificate, with an older time: the pair was never read.</summary>
    [Fact]
    public void Follow_KeyReplacedLaterWithAnOlderTime_IsRead()
    {
        var (first, second) = (Create("CN=first"), Create("CN=second"));
        Write(Certificate, first.Certificate, minutes: 0);
        Write(Key, first.Key, minutes: 0);
        var files = CertificateFiles.Open(TestSources.Of(CertificateFiles.All, $"--tls-cert {Certificate} --tls-key {Key}"))!;
        using var following = files.Follow(_time, new FileReports(NullLogger.Instance));

        Write(Certificate, second.Certificate, minutes: 2);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("CN=first", files.Current.Certificate.Subject);
        Write(Key, second.Key, minutes: 1);
        _time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal("CN=second", files.Current.Certificate.Subject);
    }

    /// <summary>The certificate of a trial is for the names by which clients of this machine call it.</summary>
    [Fact]
    public void Write_ForATrial_IsForThisMachine()
    {
        var (path, keyPath) = DevCertificate.Write([IPAddress.Parse("10.0.0.7")], TimeProvider.System, _folder.FullName);

        using var certificate = X509Certificate2.CreateFromPemFile(path, keyPath);
        var names = certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>().Single();
        Assert.Contains("localhost", names.EnumerateDnsNames());
        Assert.Superset(new HashSet<string>(["10.0.0.7", "127.0.0.1", "::1"]), names.EnumerateIPAddresses().Select(address => address.ToString()).ToHashSet());
        Assert.True(certificate.HasPrivateKey);
    }

    private static void Write(string path, string pem, int minutes)
    {
        File.WriteAllText(path, pem);
        File.SetLastWriteTimeUtc(path, DateTime.UnixEpoch.AddYears(50).AddMinutes(minutes));
    }

    private static (string Certificate, string Key) Create(string subject)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256);
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(200));
        return (certificate.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
    }
}
