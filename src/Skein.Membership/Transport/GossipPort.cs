using System.Net.NetworkInformation;
using System.Net.Sockets;
using Skein.Membership.Codec;

namespace Skein.Membership.Transport;

/// <summary>The UDP socket and the TCP listener of one port. Sending and receiving datagrams does not allocate.</summary>
internal sealed class GossipPort : IDisposable
{
    private readonly Socket _udp;
    private readonly Socket _tcp;
    private readonly SocketAddress _sendTo;
    private readonly SocketAddress _receivedFrom;
    private readonly SocketAddress _self;
    private readonly bool _reachesIPv4;
    private readonly bool _reachesIPv6;

    /// <summary>Length of the datagram that <see cref="Wake"/> sends. Every packet is longer.</summary>
    public const int WakeBytes = 1;

    private const int KernelBuffer = 4 << 20;
    private const int Backlog = 256;
    private const int MaxBindAttempts = 32;

    private GossipPort(Socket udp, Socket tcp)
    {
        (_udp, _tcp) = (udp, tcp);
        EndPoint = (IPEndPoint)udp.LocalEndPoint!;
        _sendTo = new SocketAddress(udp.AddressFamily);
        _receivedFrom = new SocketAddress(udp.AddressFamily);
        _self = new IPEndPoint(IsWildcard(EndPoint.Address) ? Loopback(udp.AddressFamily) : EndPoint.Address, EndPoint.Port).Serialize();
        (_reachesIPv4, _reachesIPv6) = (Reaches(EndPoint.Address, IPAddress.Loopback), Reaches(EndPoint.Address, IPAddress.IPv6Loopback));
        udp.Blocking = false;
    }

    public IPEndPoint EndPoint { get; }

    public AddressFamily Family => _udp.AddressFamily;

    public string Families => _reachesIPv4 ? "IPv4" : "IPv6";

    public bool CanReach(PeerAddress peer) => _reachesIPv4 && peer.IsIPv4 || _reachesIPv6 && !peer.IsIPv4;

    /// <summary>Whether a socket bound to one address can reach the family of another one. Only the IPv6 wildcard reaches both families.</summary>
    public static bool Reaches(IPAddress bound, IPAddress peer) =>
        bound.Equals(IPAddress.IPv6Any) || IsIPv4(bound) == IsIPv4(peer);

    private static bool IsIPv4(IPAddress address) => address.AddressFamily == AddressFamily.InterNetwork || address.IsIPv4MappedToIPv6;

    /// <summary>Binds both sockets. Port 0 selects a port that is free for both.</summary>
    /// <exception cref="MembershipException">The port is in use, or the address does not belong to this host.</exception>
    public static GossipPort Bind(IPEndPoint wanted)
    {
        for (var tries = 1; ; tries++)
        {
            Socket? tcp = null;
            Socket? udp = null;
            try
            {
                tcp = new Socket(wanted.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
                udp = new Socket(wanted.AddressFamily, SocketType.Dgram, ProtocolType.Udp) { ReceiveBufferSize = KernelBuffer, SendBufferSize = KernelBuffer };
                if (wanted.AddressFamily == AddressFamily.InterNetworkV6)
                    tcp.DualMode = udp.DualMode = true;
                tcp.Bind(wanted);
                udp.Bind(tcp.LocalEndPoint!);
                tcp.Listen(Backlog);
                return new GossipPort(udp, tcp);
            }
            catch (SocketException error)
            {
                tcp?.Dispose();
                udp?.Dispose();
                if (wanted.Port == 0 && error.SocketErrorCode == SocketError.AddressAlreadyInUse && tries < MaxBindAttempts)
                    continue;
                throw new MembershipException(
                    MembershipError.AddressInUse, $"cannot listen for gossip on {wanted}: {error.Message.ToLowerInvariant()}", error);
            }
        }
    }

    public bool Wait(TimeSpan timeout) => _udp.Poll(timeout, SelectMode.SelectRead);

    /// <summary>Receives one datagram; returns false if none is left. A datagram that exceeds the buffer is truncated to its length.</summary>
    public bool TryReceive(Span<byte> buffer, out int length, out PeerAddress from)
    {
        (length, from) = (0, default);
        try
        {
            length = _udp.ReceiveFrom(buffer, SocketFlags.None, _receivedFrom);
            from = Read(_receivedFrom);
            return true;
        }
        catch (SocketException error) when (error.SocketErrorCode == SocketError.MessageSize)
        {
            length = buffer.Length;
            return true;
        }
        catch (SocketException error) when (error.SocketErrorCode is SocketError.WouldBlock or SocketError.ConnectionReset)
        {
            return false;
        }
    }

    /// <summary>Sends a datagram; returns false if this port cannot reach the address or the kernel refuses (no route, full buffers).</summary>
    public bool TrySend(PeerAddress to, ReadOnlySpan<byte> datagram)
    {
        if (!CanReach(to))
            return false;
        Write(to, _sendTo);
        try
        {
            _udp.SendTo(datagram, SocketFlags.None, _sendTo);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>Ends a <see cref="Wait"/> from another thread by sending one byte to this port.</summary>
    public void Wake()
    {
        try
        {
            _udp.SendTo(stackalloc byte[WakeBytes], SocketFlags.None, _self);
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // Full buffers: the loop is awake. Disposed: the loop has ended.
        }
    }

    public ValueTask<Socket> AcceptAsync(CancellationToken cancellationToken) => _tcp.AcceptAsync(cancellationToken);

    public void Dispose()
    {
        _udp.Dispose();
        _tcp.Dispose();
    }

    /// <summary>The address to advertise: the configured one, the bound one, or for a wildcard the first address of this host.</summary>
    public IPEndPoint Reachable(IPEndPoint? advertise)
    {
        if (advertise is not null)
            return new IPEndPoint(advertise.Address, advertise.Port == 0 ? EndPoint.Port : advertise.Port);
        return IsWildcard(EndPoint.Address) ? new IPEndPoint(FirstAddress(), EndPoint.Port) : EndPoint;
    }

    private IPAddress FirstAddress()
    {
        var addresses = from card in NetworkInterface.GetAllNetworkInterfaces()
                        where card.OperationalStatus == OperationalStatus.Up && card.NetworkInterfaceType != NetworkInterfaceType.Loopback
                        from unicast in card.GetIPProperties().UnicastAddresses
                        where CanReach(PeerAddress.From(new IPEndPoint(unicast.Address, EndPoint.Port))) && !unicast.Address.IsIPv6LinkLocal
                        orderby IsIPv4(unicast.Address) descending
                        select unicast.Address;
        return addresses.FirstOrDefault(Loopback(Family));
    }

    private static bool IsWildcard(IPAddress address) => address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any);

    private static IPAddress Loopback(AddressFamily family) =>
        family == AddressFamily.InterNetworkV6 ? IPAddress.IPv6Loopback : IPAddress.Loopback;

    // sockaddr_in: family (2), port (2), address (4). sockaddr_in6: family (2), port (2), flow (4), address (16), scope (4).
    private static void Write(PeerAddress to, SocketAddress target)
    {
        var bytes = target.Buffer.Span;
        BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], to.Port);
        if (target.Family == AddressFamily.InterNetwork)
            BinaryPrimitives.WriteUInt32BigEndian(bytes[4..], to.IPv4);
        else
            BinaryPrimitives.WriteUInt128BigEndian(bytes[8..], to.IPv6);
    }

    private static PeerAddress Read(SocketAddress source)
    {
        ReadOnlySpan<byte> bytes = source.Buffer.Span;
        var port = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
        return source.Family == AddressFamily.InterNetwork
            ? PeerAddress.OfIPv4(BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]), port)
            : new PeerAddress(BinaryPrimitives.ReadUInt128BigEndian(bytes[8..]), port);
    }
}
