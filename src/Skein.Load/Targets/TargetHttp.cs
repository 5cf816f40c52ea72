using System.Net.Http.Headers;
using System.Security.Cryptography.X509Certificates;

namespace Skein.Load.Targets;

/// <summary>HTTP connections to the server under test.</summary>
internal static class TargetHttp
{
    /// <param name="key">API key to send; null: none.</param>
    /// <param name="trustedRoots">Authorities of the server's certificate; null: those of the system.</param>
    public static HttpClient Create(string? key, X509Certificate2Collection? trustedRoots)
    {
        var handler = new SocketsHttpHandler { EnableMultipleHttp2Connections = true, ConnectTimeout = TimeSpan.FromSeconds(10) };
        if (trustedRoots is not null)
        {
            handler.SslOptions.CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck,
            };
            handler.SslOptions.CertificateChainPolicy.CustomTrustStore.AddRange(trustedRoots);
        }
        var http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
        if (key is not null)
            http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return http;
    }
}
