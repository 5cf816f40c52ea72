using System.Net.Sockets;
using Skein.Membership.Core;

namespace Skein.Membership.Transport;

/// <summary>
/// TCP exchanges in both directions: one request, one reply, then the connection closes, unless it was a ping, whose sender may watch us end.
/// Bounded in number, in time, and in bytes that wait to be whole.
/// </summary>
internal sealed class StreamPort(GossipPort port, TimeProvider time, TimeSpan serveTimeout)
{
    private readonly StayingConnections _staying = new(MostStaying);
    private readonly ByteBudget _unread = new(MostUnreadBytes);
    private int _serving;
    private int _asking;
    private const int MostServed = 256;
    private const int MostAsked = 64;

    /// <summary>Two watch each member; more do for a while when the group changes, and each TCP probe is one until its sender hangs up.</summary>
    private const int MostStaying = 64;

    /// <summary>Of all requests together that are not here whole: their senders have proved nothing yet.</summary>
    private const int MostUnreadBytes = 64 << 20;

    /// <summary>Accepts until cancelled.</summary>
    public async Task AcceptAsync(Func<PeerAddress, byte[], Task<StreamReply>> serve, CancellationToken stopping)
    {
        try
        {
            while (true)
            {
                var socket = await AcceptOneAsync(stopping);
                if (Interlocked.Increment(ref _serving) <= MostServed)
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

    /// <summary>Asks one peer; never throws.</summary>
    public async Task<(ExchangeOutcome Outcome, byte[] Reply)> AskAsync(
        PeerAddress to, ReadOnlyMemory<byte> request, TimeSpan timeout, CancellationToken stopping)
    {
        if (timeout <= TimeSpan.Zero || Interlocked.Increment(ref _asking) > MostAsked)
        {
            if (timeout > TimeSpan.Zero)
                Interlocked.Decrement(ref _asking);
            return (ExchangeOutcome.Failed, []);
        }
        using var deadline = new CancellationTokenSource(timeout, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, stopping);
        try
        {
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
        catch (OperationCanceledException)
        {
            return (ExchangeOutcome.Failed, []);
        }
        finally
        {
            Interlocked.Decrement(ref _asking);
        }
    }

    /// <summary>Connects, asks, and ends when the connection does; never throws.</summary>
    public async Task HoldAsync(PeerAddress to, ReadOnlyMemory<byte> request, CancellationToken stopping)
    {
        try
        {
            using var socket = new Socket(port.Family, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await socket.ConnectAsync(to.ToEndPoint(), stopping);
            KeepAlive(socket);
            await StreamFrame.WriteAsync(socket, request, stopping);
            await DrainAsync(socket, stopping);
        }
        catch (Exception error) when (error is SocketException or OperationCanceledException)
        {
            // That it ended is all there is to tell.
        }
    }

    /// <summary>Reads until the peer closes: what it still sends is of no interest.</summary>
    private static async Task DrainAsync(Socket socket, CancellationToken stopping)
    {
        var ignored = new byte[256];
        while (await socket.ReceiveAsync(ignored, stopping) > 0)
        {
        }
    }

    /// <summary>A connection that was aborted before we took it is no reason to stop listening.</summary>
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

    /// <summary>A host that vanishes closes nothing: its connection ends half a minute later.</summary>
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
            catch (Exception error) when (error is SocketException or OperationCanceledException or ObjectDisposedException)
            {
                // The peer went away, or took too long: its problem, and it knows.
            }
        }
    }

    private async Task<bool> AnswerAsync(Socket socket, Func<PeerAddress, byte[], Task<StreamReply>> serve, CancellationToken stopping)
    {
        using var deadline = new CancellationTokenSource(serveTimeout, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, stopping);
        socket.NoDelay = true;
        var from = PeerAddress.From((System.Net.IPEndPoint)socket.RemoteEndPoint!);
        if (await StreamFrame.ReadAsync(socket, _unread, both.Token) is not { } request)
            return false;
        var reply = await serve(from, request).WaitAsync(both.Token);
        if (reply.Packet is not { } packet)
            return false;
        await StreamFrame.WriteAsync(socket, packet, both.Token);
        return reply.MayStay;
    }

    /// <summary>Whoever asks for no more closes now; whoever watches us stays until one of us ends, or too many others came after it.</summary>
    private async Task StayAsync(Socket socket, CancellationToken stopping)
    {
        KeepAlive(socket);
        _staying.Add(socket);
        try
        {
            await DrainAsync(socket, stopping);
        }
        finally
        {
            _staying.Remove(socket);
        }
    }
}

/// <summary>What to answer to a request over TCP.</summary>
/// <param name="Packet">Null: nothing.</param>
/// <param name="MayStay">The peer asked for us and may keep the connection open, to see us end.</param>
internal readonly record struct StreamReply(byte[]? Packet, bool MayStay);
