using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Grpc.Core.Interceptors;
using Grpc.Net.Client;

namespace Skein.Gateway.Links;

/// <summary>gRPC connections to other members of the group, with what <see cref="LinkOptions"/> says of their protection.</summary>
internal static class MemberChannel
{
    /// <summary>Opens a channel. It does not connect yet.</summary>
    /// <param name="address"><c>host:port</c>, or <c>https://host:port</c> if the member's gRPC is encrypted.</param>
    /// <param name="adjust">Changes the defaults: messages of gRPC's usual size, no pings.</param>
    public static GrpcChannel Open(string address, LinkOptions options, Action<SocketsHttpHandler, GrpcChannelOptions>? adjust = null)
    {
        var handler = new SocketsHttpHandler { UseProxy = false, ConnectTimeout = options.ConnectTimeout, SslOptions = SslOptionsOf(options) };
        var channel = new GrpcChannelOptions
        {
            HttpHandler = options.CreateHandler?.Invoke() ?? handler,
            DisposeHttpClient = true,
            // Only the session may retry: it knows what was delivered.
            MaxRetryAttempts = 1,
        };
        adjust?.Invoke(handler, channel);
        return GrpcChannel.ForAddress(address.Contains("://", StringComparison.Ordinal) ? address : $"http://{address}", channel);
    }

    /// <summary>Calls on a channel with the group's key, if there is one.</summary>
    public static CallInvoker Invoker(GrpcChannel channel, LinkOptions options) => options.Keys is not { } keys
        ? channel.CreateCallInvoker()
        : channel.Intercept(metadata =>
        {
            metadata.Add("authorization", keys().Authorization);
            return metadata;
        });

    private static SslClientAuthenticationOptions SslOptionsOf(LinkOptions options)
    {
        var tls = new SslClientAuthenticationOptions();
        if (options.Identity is { } identity)
            tls.LocalCertificateSelectionCallback = (_, _, _, _, _) => identity().Certificate;
        if (options.Authorities is not { } authorities)
            return tls;
        tls.CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        tls.CertificateChainPolicy.CustomTrustStore.AddRange(authorities);
        // Members are called by addresses that may change with each start; who holds a certificate of these authorities is a member.
        tls.RemoteCertificateValidationCallback = (_, _, _, errors) => (errors & ~SslPolicyErrors.RemoteCertificateNameMismatch) == SslPolicyErrors.None;
        return tls;
    }
}
