using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Skein.Cli.Members;
using Skein.Cli.Settings;
using Skein.Load;
using Skein.Operations.Fleet;

namespace Skein.Cli.Commands;

/// <summary>The gateway that a client verb talks to.</summary>
internal static class GatewayConnection
{
    /// <summary><c>--gateway</c>, a flag of every client verb.</summary>
    public static Setting<Uri> Address { get; } = new(
        "gateway", "url", "Address of a gateway [default: http://127.0.0.1:8080]", "an http:// or https:// address", new Uri("http://127.0.0.1:8080"),
        (string text, out Uri read) => Uri.TryCreate(text, UriKind.Absolute, out read!) && read.Scheme is "http" or "https");

    /// <summary><c>--key-file</c>, a flag of every client verb. A key is no flag: other users of the machine could read it.</summary>
    public static Setting<string?> KeyPath { get; } = Setting.Text(
        "key-file", "file", $"File with the API key to send; {SecretVariables.ApiKey} holds the key itself");

    /// <summary><c>--ca</c>, a flag of every client verb.</summary>
    public static Setting<string?> Authorities { get; } = Setting.Text(
        "ca", "file", "PEM file with the authorities of the gateway's certificate [default: those of the system]");

    private static readonly Setting<string?> CertificatePath = Setting.Text(
        "client-cert", "file", "PEM file with the certificate to show to a gateway that asks for one (mTLS), and its intermediates");

    private static readonly Setting<string?> CertificateKeyPath = Setting.Text("client-key", "file", "PEM file with the private key of --client-cert");

    /// <summary>The flags by which a client verb proves who it is, and knows the gateway.</summary>
    public static IReadOnlyList<ISetting> Credentials { get; } = [KeyPath, Authorities, CertificatePath, CertificateKeyPath];

    /// <summary>The flags of every client verb.</summary>
    public static IReadOnlyList<ISetting> All { get; } = [Address, .. Credentials];

    public static GatewayClient Open(SettingSources sources) => new(Address.Read(sources), Key(sources), Tls(sources));

    /// <returns>Null: none is sent.</returns>
    /// <exception cref="UsageException">The file cannot be read.</exception>
    public static string? Key(SettingSources sources)
    {
        if (KeyPath.Read(sources) is not { } path)
            return Environment.GetEnvironmentVariable(SecretVariables.ApiKey)?.Trim() is { Length: > 0 } key ? Checked(key, SecretVariables.ApiKey) : null;
        try
        {
            return Checked(File.ReadAllText(path).Trim(), $"--key-file {path}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"--key-file {path} cannot be read: {error.Message}");
        }
    }

    private static string Checked(string key, string origin) => key.Length > 0 && key.All(letter => letter is > ' ' and <= '~')
        ? key
        : throw new UsageException($"{origin} has no API key; allowed: one line of printable ASCII characters without blanks");

    /// <returns>Null: none of the flags is set.</returns>
    /// <exception cref="UsageException">A file cannot be read, or is wrong.</exception>
    public static ClientTls? Tls(SettingSources sources)
    {
        var (ca, certificate, key) = (Authorities.Read(sources), CertificatePath.Read(sources), CertificateKeyPath.Read(sources));
        if (certificate is null != key is null)
        {
            var missing = (certificate is null ? CertificatePath : CertificateKeyPath).Option.Name;
            throw new UsageException($"{missing} is missing; allowed: {CertificatePath.Option.Name} and {CertificateKeyPath.Option.Name} together");
        }
        if ((ca ?? certificate) is null)
            return null;
        var tls = new ClientTls { TrustedRoots = ca is null ? null : AuthorityFile.Read(ca, Authorities.Option.Name) };
        return certificate is null ? tls : WithCertificate(tls, certificate, key!);
    }

    private static ClientTls WithCertificate(ClientTls tls, string certificate, string key)
    {
        PrivateFile.WarnIfOpen(key, CertificateKeyPath.Option.Name);
        try
        {
            return tls with
            {
                Certificate = X509Certificate2.CreateFromPemFile(certificate, key),
                Intermediates = AuthorityFile.Read(certificate, CertificatePath.Option.Name),
            };
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
        {
            throw new UsageException(
                $"{CertificatePath.Option.Name} {certificate} cannot be used with {CertificateKeyPath.Option.Name} {key}: {error.Message}");
        }
    }
}
