using System.Net;
using System.Net.Sockets;
using Skein.Load.Chaos.Network;

namespace Skein.Load.Tests.Chaos;

public sealed class TcpRelayTests : IAsyncLifetime
{
    private readonly TcpListener _server = new(IPAddress.Loopback, 0);
    private TcpRelay _relay = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync()
    {
        _server.Start();
        _relay = new TcpRelay("127.0.0.1", ((IPEndPoint)_server.LocalEndpoint).Port);
        _relay.Listen();
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _relay.DisposeAsync();
        _server.Dispose();
    }

    [Fact]
    public async Task Relay_BytesAndEnd_ArePassedOnBothWays()
    {
        using var client = await ConnectAsync();
        using var accepted = await _server.AcceptSocketAsync(Cancellation);

        await client.SendAsync("question"u8.ToArray(), Cancellation);
        client.Shutdown(SocketShutdown.Send);
        var question = await ReadAsync(accepted);
        await accepted.SendAsync("answer"u8.ToArray(), Cancellation);
        accepted.Shutdown(SocketShutdown.Send);

        Assert.Equal(("question", "answer"), (question, await ReadAsync(client)));
    }

    [Fact]
    public async Task CutAsync_OpenConnection_IsResetAndNewOnesAreRefusedUntilItListens()
    {
        using var client = await ConnectAsync();
        using var accepted = await _server.AcceptSocketAsync(Cancellation);

        await _relay.CutAsync();

        await Assert.ThrowsAsync<SocketException>(() => ReadAsync(client));
        await Assert.ThrowsAsync<SocketException>(() => ReadAsync(accepted));
        await Assert.ThrowsAsync<SocketException>(ConnectAsync);
        _relay.Listen();
        using var again = await ConnectAsync();
        using var acceptedAgain = await _server.AcceptSocketAsync(Cancellation);
    }

    [Fact]
    public async Task Hold_Bytes_ComeAfterRelease()
    {
        using var client = await ConnectAsync();
        using var accepted = await _server.AcceptSocketAsync(Cancellation);
        _relay.Hold();
        await client.SendAsync("late"u8.ToArray(), Cancellation);
        client.Shutdown(SocketShutdown.Send);
        var reading = ReadAsync(accepted);
        // A connection that is not held is not faster than one that is: nothing has come so far.
        using var other = await ConnectAsync();
        using var acceptedOther = await _server.AcceptSocketAsync(Cancellation);
        Assert.False(reading.IsCompleted);

        _relay.Release();

        Assert.Equal("late", await reading);
    }

    [Fact]
    public async Task Relay_ServerIsGone_ClientIsReset()
    {
        _server.Stop();

        // The reset may come before the connection was seen to be made.
        await Assert.ThrowsAsync<SocketException>(async () =>
        {
            using var client = await ConnectAsync();
            await ReadAsync(client);
        });
    }

    private static async Task<string> ReadAsync(Socket socket)
    {
        var all = new MemoryStream();
        var buffer = new byte[64];
        for (var read = await socket.ReceiveAsync(buffer, Cancellation); read > 0; read = await socket.ReceiveAsync(buffer, Cancellation))
            all.Write(buffer, 0, read);
        return System.Text.Encoding.UTF8.GetString(all.ToArray());
    }

    private async Task<Socket> ConnectAsync()
    {
        var client = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await client.ConnectAsync("127.0.0.1", _relay.Port, Cancellation);
            return client;
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }
}
