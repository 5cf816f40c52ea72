using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Skein.Serving.Security;

namespace Skein.Gateway.Tests.Security;

[SuppressMessage("Security", "CA5359", Justification = "The clients look at self-signed certificates; what is tested is the server.")]
public sealed class ServerTlsTests
{
    private static readonly GatewayOptions Options = new() { Http = new(IPAddress.Loopback, 0), Grpc = new(IPAddress.Loopback, 0) };

    [Fact]
    public async Task Get_CertificateReplaced_NewConnectionsSeeTheNewOne()
    {
        using var first = SelfSigned("CN=first");
        using var second = SelfSigned("CN=second");
        var current = new TlsIdentity(first, []);
        await using var gateway = await StartAsync(() => current);

        Assert.Equal("CN=first", await SubjectAsync(gateway.Http));
        Assert.Equal("CN=first", await SubjectAsync(gateway.Grpc));
        current = new TlsIdentity(second, []);
        Assert.Equal("CN=second", await SubjectAsync(gateway.Http));

        await gateway.StopAsync(new CancellationToken(canceled: true));
    }

    [Fact]
    public async Task Get_ClientAuthorities_RefusesClientsWithoutTheirCertificate()
    {
        using var server = SelfSigned("CN=server");
        using var client = SelfSigned("CN=client");
        using var stranger = SelfSigned("CN=stranger");
        await using var gateway = await StartAsync(() => new TlsIdentity(server, [], [client]));

        Assert.Equal(HttpStatusCode.OK, await GetAsync(gateway.Http, client));
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => GetAsync(gateway.Http, stranger));
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => GetAsync(gateway.Http, certificate: null));

        await gateway.StopAsync(new CancellationToken(canceled: true));
    }

    /// <summary>Plain HTTP on the port of HTTPS must not be answered.</summary>
    [Fact]
    public async Task Get_WithoutTls_Fails()
    {
        using var server = SelfSigned("CN=server");
        await using var gateway = await StartAsync(() => new TlsIdentity(server, []));
        using var http = new HttpClient();

        await Assert.ThrowsAnyAsync<HttpRequestException>(() => http.GetAsync(new Uri($"http://{gateway.Http}/livez"), TestContext.Current.CancellationToken));

        await gateway.StopAsync(new CancellationToken(canceled: true));
    }

    private static async Task<GatewayApp> StartAsync(Func<TlsIdentity> tls)
    {
        var gateway = GatewayApp.Build(Options with { Tls = tls });
        await gateway.StartAsync(TestContext.Current.CancellationToken);
        return gateway;
    }

    private static async Task<string> SubjectAsync(IPEndPoint endpoint)
    {
        using var tcp = new System.Net.Sockets.TcpClient();
        await tcp.ConnectAsync(endpoint, TestContext.Current.CancellationToken);
        await using var tls = new SslStream(tcp.GetStream());
        var options = new SslClientAuthenticationOptions { TargetHost = "localhost", RemoteCertificateValidationCallback = (_, _, _, _) => true };
        await tls.AuthenticateAsClientAsync(options, TestContext.Current.CancellationToken);
        return tls.RemoteCertificate!.Subject;
    }

    private static async Task<HttpStatusCode> GetAsync(IPEndPoint endpoint, X509Certificate2? certificate)
    {
        using var handler = new SocketsHttpHandler();
        handler.SslOptions.RemoteCertificateValidationCallback = (_, _, _, _) => true;
        if (certificate is not null)
            handler.SslOptions.ClientCertificates = [certificate];
        using var http = new HttpClient(handler);
        using var response = await http.GetAsync(new Uri($"https://{endpoint}/livez"), TestContext.Current.CancellationToken);
        return response.StatusCode;
    }

    private static X509Certificate2 SelfSigned(string subject)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256);
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(200));
        return X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pkcs12), password: null);
    }
}
