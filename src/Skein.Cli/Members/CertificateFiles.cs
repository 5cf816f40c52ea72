using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Skein.Cli.Settings;
using Skein.Serving.Security;

namespace Skein.Cli.Members;

/// <summary>The certificate of a member, in PEM files that are read again when they change. Thread-safe.</summary>
internal sealed class CertificateFiles
{
    private const string Content = "TLS certificates";

    private static readonly Setting<string?> CertificatePath = Setting.Text(
        "tls-cert", "file", "PEM file with the certificate of this member and its intermediates; reloaded when it changes").Live();

    private static readonly Setting<string?> KeyPath = Setting.Text("tls-key", "file", "PEM file with the private key of --tls-cert").Live();

    private static readonly Setting<string?> ClientAuthorityPath = Setting.Text(
        "tls-client-ca", "file", "PEM file with the authorities of client certificates; clients without one are refused (mTLS)").Live();

    private static readonly Setting<bool> ForTrial = Setting.Flag(
        "tls-dev", "Make a certificate of this member's own at its start, for a trial; its path is printed, for --ca of clients");

    private string _certificate;
    private string _key;
    private string? _clientAuthorities;
    private readonly Lock _gate = new();

    /// <summary>Write times of the files that were read. They are taken before reading, so that no later change is missed.</summary>
    private DateTime[] _writtenAt;
    private volatile TlsIdentity _current;

    private CertificateFiles(string certificate, string key, string? clientAuthorities)
    {
        (_certificate, _key, _clientAuthorities) = (certificate, key, clientAuthorities);
        _writtenAt = WrittenAt();
        _current = Read();
    }

    public static IReadOnlyList<ISetting> All { get; } = [CertificatePath, KeyPath, ClientAuthorityPath, ForTrial];

    public TlsIdentity Current => _current;

    /// <summary>The file of a certificate that was made for a trial; null: it is the operator's.</summary>
    public string? TrialPath { get; private init; }

    /// <returns>Null without <c>--tls-cert</c> and <c>--tls-dev</c>.</returns>
    /// <exception cref="UsageException">A file is missing or wrong.</exception>
    public static CertificateFiles? Open(SettingSources sources)
    {
        var (certificate, key, clients) = (CertificatePath.Read(sources), KeyPath.Read(sources), ClientAuthorityPath.Read(sources));
        if (ForTrial.Read(sources))
        {
            if ((certificate ?? key) is not null)
                throw new UsageException("--tls-dev makes a certificate, and --tls-cert and --tls-key name one; allowed: one of both");
            var trial = DevCertificate.Write(EndpointSettings.AddressesOf(sources), TimeProvider.System);
            return new CertificateFiles(trial.Certificate, trial.Key, clients) { TrialPath = trial.Certificate };
        }
        if (certificate is null && (key ?? clients) is null)
            return null;
        if (key is not null)
            PrivateFile.WarnIfOpen(key, KeyPath.Option.Name);
        return certificate is not null && key is not null
            ? new CertificateFiles(certificate, key, clients)
            : throw new UsageException($"--{(certificate is null ? "tls-cert" : "tls-key")} is missing; allowed: --tls-cert and --tls-key together");
    }

    /// <summary>Uses the files of another instance from the next connection on.</summary>
    public void Use(CertificateFiles next)
    {
        lock (_gate)
        {
            (_certificate, _key, _clientAuthorities) = (next._certificate, next._key, next._clientAuthorities);
            _writtenAt = next._writtenAt;
            _current = next.Current;
        }
    }

    /// <summary>Checks the files every second. Files that are wrong are reported once; the old certificate stays in use.</summary>
    public IDisposable Follow(TimeProvider time, FileReports reports) => WatchedFile.Follow(
        Content, time, reports, () =>
        {
            lock (_gate)
            {
                var writtenAt = WrittenAt();
                if (writtenAt.AsSpan().SequenceEqual(_writtenAt))
                    return false;
                _writtenAt = writtenAt;
                _current = Read();
                return true;
            }
        });

    private TlsIdentity Read()
    {
        var path = _certificate;
        try
        {
            var certificate = X509Certificate2.CreateFromPemFile(_certificate, _key);
            var intermediates = new X509Certificate2Collection();
            intermediates.ImportFromPemFile(_certificate);
            X509Certificate2Collection? authorities = null;
            if (_clientAuthorities is not null)
            {
                path = _clientAuthorities;
                authorities = [];
                authorities.ImportFromPemFile(path);
                if (authorities.Count == 0)
                    throw new UsageException($"--tls-client-ca {path} contains no certificate; allowed: a PEM file with at least one");
            }
            return new TlsIdentity(certificate, intermediates, authorities);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
        {
            throw new UsageException($"{(path == _certificate ? "--tls-cert" : "--tls-client-ca")} {path} cannot be used: {error.Message}");
        }
    }

    // Each of them: a file may be replaced by one with an older time.
    private DateTime[] WrittenAt() => [.. new[] { _certificate, _key, _clientAuthorities }.OfType<string>().Select(WatchedFile.WrittenAt)];
}
