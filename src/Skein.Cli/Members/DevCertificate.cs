using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Skein.Cli.Members;

/// <summary>A certificate for a trial, which its owner signed: clients trust it by its file.</summary>
internal static class DevCertificate
{
    private static readonly TimeSpan Lifetime = TimeSpan.FromDays(30);

    /// <summary>Writes a new one, for this machine's names and some addresses. Only the user can read its key.</summary>
    /// <param name="folder">Null: the user's folder of this program.</param>
    /// <exception cref="CommandFailedException">It cannot be written.</exception>
    public static (string Certificate, string Key) Write(IEnumerable<IPAddress> addresses, TimeProvider time, string? folder = null)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=skein (trial)", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        if (Dns.GetHostName() is { Length: > 0 } host && Uri.CheckHostName(host) == UriHostNameType.Dns)
            names.AddDnsName(host);
        foreach (var address in addresses.Append(IPAddress.Loopback).Append(IPAddress.IPv6Loopback).Distinct())
            names.AddIpAddress(address);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: true, 0, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        // Clocks of clients may be behind.
        var now = time.GetUtcNow();
        using var certificate = request.CreateSelfSigned(now.AddDays(-1), now + Lifetime);
        folder ??= Folder();
        var (certificatePath, keyPath) = (Path.Combine(folder, "trial.crt"), Path.Combine(folder, "trial.key"));
        PrivateFile.Write(keyPath, [key.ExportPkcs8PrivateKeyPem()]);
        PrivateFile.Write(certificatePath, [certificate.ExportCertificatePem()]);
        return (certificatePath, keyPath);
    }

    private static string Folder()
    {
        var users = Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
        try
        {
            // A user without a home has a new folder at each start.
            return users.Length > 0
                ? Directory.CreateDirectory(Path.Combine(users, "skein")).FullName
                : Directory.CreateTempSubdirectory("skein-").FullName;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException($"no folder for the certificate of --tls-dev: {error.Message}", error);
        }
    }
}
