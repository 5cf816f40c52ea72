using System.Net;
using System.Net.Sockets;

namespace Skein.EndToEnd.Support;

/// <summary>
/// Ports that nothing listens on yet, each given out once, and outside of the system's range for ephemeral ports: one of those may be
/// taken by another process before it is used.
/// </summary>
internal static class FreePort
{
    private const int First = 20_000, Count = 12_000;

    // Different for two runs at the same time.
    private static int _next = Environment.ProcessId * 7 % Count;

    public static int Next()
    {
        while (true)
        {
            var port = First + (int)((uint)Interlocked.Increment(ref _next) % Count);
            using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                probe.Bind(new IPEndPoint(IPAddress.Loopback, port));
                return port;
            }
            catch (SocketException)
            {
                // The port is taken: try the next one.
            }
        }
    }
}
