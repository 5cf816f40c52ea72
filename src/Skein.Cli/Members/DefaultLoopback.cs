using System.Net;
using System.Net.Sockets;

namespace Skein.Cli.Members;

/// <summary>Where members listen by default: 127.0.0.1, or ::1 on a host that has IPv6 only.</summary>
internal static class DefaultLoopback
{
    public static IPAddress Address { get; } = IsHere(IPAddress.Loopback) || !IsHere(IPAddress.IPv6Loopback) ? IPAddress.Loopback : IPAddress.IPv6Loopback;

    private static bool IsHere(IPAddress address)
    {
        try
        {
            using var socket = new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            socket.Bind(new IPEndPoint(address, 0));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
