using System.Net.Security;
using System.Security.Cryptography.X509Certificates;

namespace Skein.Load;

/// <summary>How a client of a gateway uses TLS. Immutable.</summary>
public sealed record ClientTls
{
    /// <summary>Authorities of the gateway's certificate. Null (the default): those of the system.</summary>
    public X509Certificate2Collection? TrustedRoots { get; init; }

    /// <summary>Certificate to show (mTLS), with its private key. Null (the default): none.</summary>
    public X509Certificate2? Certificate { get; init; }

    /// <summary>Intermediates of <see cref="Certificate"/>, which are sent with it. Default none.</summary>
    public X509Certificate2Collection Intermediates { get; init; } = [];

    /// <summary>Sets the options of a connection.</summary>
    public void Apply(SslClientAuthenticationOptions options)
    {
        if (TrustedRoots is { } roots)
        {
            options.CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck,
            };
            options.CertificateChainPolicy.CustomTrustStore.AddRange(roots);
        }
        if (Certificate is { } certificate)
            options.ClientCertificateContext = SslStreamCertificateContext.Create(certificate, Intermediates, offline: true);
    }
}
