using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Skein.Load.Chaos.Network;

/// <summary>
/// Passes connections on loopback on to a server, without a look at what they carry. Its connections can be cut, and what they carry can be held. Thread-safe.
/// </summary>
/// <param name="host">Host of the server.</param>
/// <param name="port">Port of the server.</param>
public sealed class TcpRelay(string host, int port) : IAsyncDisposable
{
    private const int BufferBytes = 16 << 10;

    /// <summary>Connections at the same time; more are refused.</summary>
    private const int MostConnections = 4_096;

    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(10);

    private readonly ConcurrentDictionary<Socket, bool> _sockets = [];
    private readonly CancellationTokenSource _stop = new();
    private volatile TaskCompletionSource _flow = Flowing();
    private Socket? _listener;
    private Task _accepting = Task.CompletedTask;
    private int _connections;

    /// <summary>Port that it listens on; 0 before the first <see cref="Listen"/>.</summary>
    public int Port { get; private set; }

    /// <summary>Accepts connections: at first on a free port, then again on the same one.</summary>
    public void Listen()
    {
        var listener = _listener ??= Bind(Port);
        listener.Listen();
        Port = ((IPEndPoint)listener.LocalEndPoint!).Port;
        _accepting = AcceptAsync(listener);
    }

    /// <summary>Resets all connections, and refuses new ones until <see cref="Listen"/>.</summary>
    public async Task CutAsync()
    {
        await StopAsync();
        // Bound, it refuses connections, and nobody else gets the port in the meantime.
        _listener = Bind(Port);
    }

    /// <summary>Holds everything that the connections carry, until <see cref="Release"/>. They stay open.</summary>
    public void Hold() => _flow = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Release() => _flow.TrySetResult();

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        Release();
        await StopAsync();
        _stop.Dispose();
    }

    private static Socket Bind(int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
        return socket;
    }

    private async Task StopAsync()
    {
        _listener?.Dispose();
        _listener = null;
        await _accepting;
        foreach (var socket in _sockets.Keys)
            Reset(socket);
    }

    private static TaskCompletionSource Flowing()
    {
        var flow = new TaskCompletionSource();
        flow.SetResult();
        return flow;
    }

    private static void Reset(Socket socket)
    {
        try
        {
            socket.LingerState = new LingerOption(enable: true, seconds: 0);
            socket.Close();
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // Its connection has ended by itself.
        }
    }

    private async Task AcceptAsync(Socket listener)
    {
        try
        {
            while (true)
                _ = RelayAsync(await listener.AcceptAsync(_stop.Token));
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException or OperationCanceledException or InvalidOperationException)
        {
            // It was cut, or stops; the last one: between two calls.
        }
    }

    private async Task RelayAsync(Socket client)
    {
        var server = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        client.NoDelay = true;
        (_sockets[client], _sockets[server]) = (true, true);
        try
        {
            if (Interlocked.Increment(ref _connections) > MostConnections)
                return;
            using var deadline = new CancellationTokenSource(ConnectTimeout, TimeProvider.System);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, _stop.Token);
            await server.ConnectAsync(host, port, either.Token);
            await Task.WhenAll(PumpAsync(client, server), PumpAsync(server, client));
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // The other end sees its connection reset, too.
            Reset(client);
        }
        finally
        {
            Interlocked.Decrement(ref _connections);
            foreach (var socket in (Socket[])[client, server])
            {
                _sockets.TryRemove(socket, out _);
                socket.Dispose();
            }
        }
    }

    private async Task PumpAsync(Socket from, Socket to)
    {
        var buffer = new byte[BufferBytes];
        try
        {
            while (true)
            {
                var read = await from.ReceiveAsync(buffer, _stop.Token);
                await _flow.Task.WaitAsync(_stop.Token);
                if (read == 0)
                {
                    to.Shutdown(SocketShutdown.Send);
                    return;
                }

                for (var sent = 0; sent < read;)
                    sent += await to.SendAsync(buffer.AsMemory(sent, read - sent), _stop.Token);
            }
        }
        catch (SocketException)
        {
            // One end is reset: so is the other one.
            Reset(from);
            Reset(to);
            throw;
        }
    }
}
