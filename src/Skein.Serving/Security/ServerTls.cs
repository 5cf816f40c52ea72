using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Skein.Serving.Security;

/// <summary>What a member shows its clients, and which clients it accepts. Immutable.</summary>
/// <param name="Certificate">With its private key.</param>
/// <param name="Intermediates">Certificates between it and its root; sent to clients.</param>
/// <param name="ClientAuthorities">Authorities of the certificates that clients must show (mTLS); null: clients show none.</param>
public sealed record TlsIdentity(
    X509Certificate2 Certificate, X509Certificate2Collection Intermediates, X509Certificate2Collection? ClientAuthorities = null);

/// <summary>TLS of one listener. A replaced identity is used from the next connection on. Thread-safe.</summary>
/// <param name="current">Returns the identity in use; called for each connection.</param>
public sealed class ServerTls(Func<TlsIdentity> current, SslApplicationProtocol protocol)
{
    private volatile Prepared? _prepared;

    /// <summary>Encrypts a listener, whose protocol must be set before. Null: it is not encrypted.</summary>
    public static void Apply(ListenOptions listener, Func<TlsIdentity>? current)
    {
        if (current is null)
            return;
        var tls = new ServerTls(current, listener.Protocols == HttpProtocols.Http2 ? SslApplicationProtocol.Http2 : SslApplicationProtocol.Http11);
        listener.UseHttps(new TlsHandshakeCallbackOptions { OnConnection = _ => ValueTask.FromResult(tls.Current()) });
    }

    private SslServerAuthenticationOptions Current()
    {
        var identity = current();
        if (_prepared is { } prepared && prepared.Identity == identity)
            return prepared.Options;
        var options = new SslServerAuthenticationOptions
        {
            ApplicationProtocols = [protocol],
            ServerCertificateContext = SslStreamCertificateContext.Create(identity.Certificate, identity.Intermediates, offline: true),
            ClientCertificateRequired = identity.ClientAuthorities is not null,
        };
        if (identity.ClientAuthorities is { } authorities)
        {
            options.CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck,
            };
            options.CertificateChainPolicy.CustomTrustStore.AddRange(authorities);
        }
        _prepared = new Prepared(identity, options);
        return options;
    }

    private sealed record Prepared(TlsIdentity Identity, SslServerAuthenticationOptions Options);
}
