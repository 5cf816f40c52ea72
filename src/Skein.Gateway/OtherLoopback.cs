using System.Net;
using System.Net.Sockets;

namespace Skein.Gateway;

/// <summary>The loopback address of the other family, for clients that resolve <c>localhost</c> to it.</summary>
internal static class OtherLoopback
{
    /// <summary>The same port on the other family; null if the endpoint is not on loopback, takes a free port, or the machine lacks the other family.</summary>
    public static IPEndPoint? Of(IPEndPoint endpoint)
    {
        if (endpoint.Port == 0)
            return null;
        var other = endpoint.Address.Equals(IPAddress.Loopback) ? IPAddress.IPv6Loopback
            : endpoint.Address.Equals(IPAddress.IPv6Loopback) ? IPAddress.Loopback
            : null;
        return other is not null && IsHere(other) ? new IPEndPoint(other, endpoint.Port) : null;
    }

    private static bool IsHere(IPAddress address)
    {
        try
        {
            using var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(address, 0));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
