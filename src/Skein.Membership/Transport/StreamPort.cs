using System.Net.Sockets;
using Skein.Membership.Codec;
using Skein.Membership.Core;

namespace Skein.Membership.Transport;

/// <summary>
/// TCP exchanges in both directions: one request and one reply a connection. A connection that carried a ping may stay open, so that its peer
/// notices the end of this process. Bounded in connections, time and bytes of incomplete requests.
/// </summary>
internal sealed class StreamPort(GossipPort port, TimeProvider time, TimeSpan serveTimeout)
{
    private readonly ByteBudget _incomplete = new(MaxIncompleteBytes);
    private readonly Lock _lock = new();
    private readonly LinkedList<Socket> _stayingByAge = [];
    private int _serving;
    private int _asking;
    private const int MaxServed = 256;
    private const int MaxAsked = 64;

    /// <summary>Two members monitor this one; more do while the group changes, and every TCP probe stays until its sender closes it.</summary>
    private const int MaxStaying = 64;

    private const int MaxIncompleteBytes = 64 << 20;

    public async Task AcceptAsync(Func<PeerAddress, byte[], Task<StreamReply>> serve, CancellationToken stopping)
    {
        try
        {
            while (true)
            {
                var socket = await AcceptOneAsync(stopping);
                if (Interlocked.Increment(ref _serving) <= MaxServed)
                {
                    _ = ServeAsync(socket, serve, stopping);
                    continue;
                }
                Interlocked.Decrement(ref _serving);
                socket.Dispose();
            }
        }
        catch (Exception error) when (error is OperationCanceledException or ObjectDisposedException)
        {
            // The member stops.
        }
    }

    /// <summary>Sends a request to a peer and waits for the reply. Never throws.</summary>
    public async Task<(ExchangeOutcome Outcome, byte[] Reply)> AskAsync(
        PeerAddress to, ReadOnlyMemory<byte> request, TimeSpan timeout, CancellationToken stopping)
    {
        if (timeout <= TimeSpan.Zero || !port.CanReach(to))
            return (ExchangeOutcome.Failed, []);
        try
        {
            if (Interlocked.Increment(ref _asking) > MaxAsked)
                return (ExchangeOutcome.Failed, []);
            using var deadline = new CancellationTokenSource(timeout, time);
            using var both = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, stopping);
            using var socket = new Socket(port.Family, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await socket.ConnectAsync(to.ToEndPoint(), both.Token);
            await StreamFrame.WriteAsync(socket, request, both.Token);
            var reply = await StreamFrame.ReadAsync(socket, budget: null, both.Token);
            return reply is null ? (ExchangeOutcome.Failed, []) : (ExchangeOutcome.Replied, reply);
        }
        catch (SocketException error)
        {
            return (error.SocketErrorCode == SocketError.ConnectionRefused ? ExchangeOutcome.Refused : ExchangeOutcome.Failed, []);
        }
        catch (Exception error) when (error is OperationCanceledException or IOException)
        {
            return (ExchangeOutcome.Failed, []);
        }
        finally
        {
            Interlocked.Decrement(ref _asking);
        }
    }

    /// <summary>Connects, sends a request and completes when the connection ends. Never throws.</summary>
    public async Task MonitorAsync(PeerAddress to, ReadOnlyMemory<byte> request, CancellationToken stopping)
    {
        if (!port.CanReach(to))
            return;
        try
        {
            using var socket = new Socket(port.Family, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await socket.ConnectAsync(to.ToEndPoint(), stopping);
            KeepAlive(socket);
            await StreamFrame.WriteAsync(socket, request, stopping);
            await DrainAsync(socket, stopping);
        }
        catch (Exception error) when (error is SocketException or IOException or OperationCanceledException)
        {
            // The end of the connection is the result.
        }
    }

    private static async Task DrainAsync(Socket socket, CancellationToken stopping)
    {
        var ignored = new byte[256];
        while (await socket.ReceiveAsync(ignored, stopping) > 0)
        {
        }
    }

    /// <summary>A connection that was aborted before it was accepted does not end the listener.</summary>
    private async Task<Socket> AcceptOneAsync(CancellationToken stopping)
    {
        while (true)
        {
            try
            {
                return await port.AcceptAsync(stopping);
            }
            catch (SocketException) when (!stopping.IsCancellationRequested)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(10), time, stopping);
            }
        }
    }

    /// <summary>A lost host closes nothing: its connections end after half a minute.</summary>
    private static void KeepAlive(Socket socket)
    {
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 15);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 5);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 3);
    }

    private async Task ServeAsync(Socket socket, Func<PeerAddress, byte[], Task<StreamReply>> serve, CancellationToken stopping)
    {
        using (socket)
        {
            try
            {
                bool mayStay;
                try
                {
                    mayStay = await AnswerAsync(socket, serve, stopping);
                }
                finally
                {
                    Interlocked.Decrement(ref _serving);
                }
                if (mayStay)
                    await StayAsync(socket, stopping);
            }
            catch (Exception error) when (error is SocketException or IOException or OperationCanceledException or ObjectDisposedException)
            {
                // The peer closed the connection or timed out. The peer sees that too.
            }
        }
    }

    private async Task<bool> AnswerAsync(Socket socket, Func<PeerAddress, byte[], Task<StreamReply>> serve, CancellationToken stopping)
    {
        using var deadline = new CancellationTokenSource(serveTimeout, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, stopping);
        socket.NoDelay = true;
        var from = PeerAddress.From((IPEndPoint)socket.RemoteEndPoint!);
        if (await StreamFrame.ReadAsync(socket, _incomplete, both.Token) is not { } request)
            return false;
        var reply = await serve(from, request).WaitAsync(both.Token);
        if (reply.Packet is not { } packet)
            return false;
        await StreamFrame.WriteAsync(socket, packet, both.Token);
        return reply.MayStay;
    }

    /// <summary>Keeps a connection open until its peer or this process ends. Above the limit the oldest one is closed; its peer connects again.</summary>
    private async Task StayAsync(Socket socket, CancellationToken stopping)
    {
        KeepAlive(socket);
        Socket? oldest = null;
        lock (_lock)
        {
            _stayingByAge.AddLast(socket);
            if (_stayingByAge.Count > MaxStaying)
            {
                oldest = _stayingByAge.First!.Value;
                _stayingByAge.RemoveFirst();
            }
        }
        oldest?.Dispose();
        try
        {
            await DrainAsync(socket, stopping);
        }
        finally
        {
            lock (_lock)
                _stayingByAge.Remove(socket);
        }
    }
}

/// <summary>The reply to a request, and whether the peer may keep the connection open. The packet is null if there is no reply.</summary>
internal readonly record struct StreamReply(byte[]? Packet, bool MayStay);

/// <summary>The outgoing connections that the core monitors, one a slot. Used by the loop only; <paramref name="post"/> posts to the loop.</summary>
internal sealed class MonitorConnections(StreamPort streams, Action<Action<MembershipCore, TimeSpan>> post, CancellationToken stopping)
{
    private readonly Dictionary<int, CancellationTokenSource> _bySlot = [];

    /// <summary>Closes the connection of a slot and opens one to that peer; <c>default</c> only closes.</summary>
    public void Replace(int slot, PeerAddress to, ReadOnlySpan<byte> request)
    {
        if (_bySlot.Remove(slot, out var previous))
        {
            previous.Cancel();
            previous.Dispose();
        }
        if (to.IsNone)
            return;
        var cancel = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        _bySlot[slot] = cancel;
        _ = MonitorAsync(slot, to, request.ToArray(), cancel.Token);
    }

    private async Task MonitorAsync(int slot, PeerAddress to, byte[] request, CancellationToken replaced)
    {
        await streams.MonitorAsync(to, request, replaced);
        // The core ignores the end of a connection that it has replaced in the meantime.
        if (!replaced.IsCancellationRequested)
            post((core, now) => core.ConnectionEnded(slot, to, now));
    }
}
