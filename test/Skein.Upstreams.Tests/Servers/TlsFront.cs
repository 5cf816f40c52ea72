using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Skein.Upstreams.Tests.Servers;

/// <summary>Speaks TLS in front of a server: decrypts, and copies bytes both ways. Thread-safe.</summary>
internal sealed class TlsFront : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentBag<Task> _connections = [];
    private readonly X509Certificate2 _certificate;
    private readonly int _port;
    private readonly Task _accepting;

    public TlsFront(ScriptedServer server, X509Certificate2 certificate)
    {
        (_certificate, _port) = (certificate, server.Port);
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public Uri Url => new($"https://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}");

    /// <summary>Its name in the gateway.</summary>
    public string Name => $"{Url.Host}:{Url.Port}";

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _accepting;
        await Task.WhenAll(_connections);
        _listener.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
                _connections.Add(RelayAsync(await _listener.AcceptSocketAsync(_stop.Token)));
        }
        catch (OperationCanceledException)
        {
            // The test ends.
        }
    }

    private async Task RelayAsync(Socket socket)
    {
        try
        {
            await using var client = new SslStream(new NetworkStream(socket, ownsSocket: true));
            await client.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = _certificate }, _stop.Token);
            using var connection = new TcpClient();
            await connection.ConnectAsync(IPAddress.Loopback, _port, _stop.Token);
            await using var server = connection.GetStream();
            await Task.WhenAny(client.CopyToAsync(server, _stop.Token), server.CopyToAsync(client, _stop.Token));
        }
        catch (Exception end) when (end is IOException or SocketException or AuthenticationException or OperationCanceledException)
        {
            // The client refused the certificate, or one side closed.
        }
    }
}
