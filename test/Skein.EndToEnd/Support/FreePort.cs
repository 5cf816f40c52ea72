using System.Net;
using System.Net.Sockets;

namespace Skein.EndToEnd.Support;

/// <summary>
/// Ports that nothing listens on yet, each given out once, and outside of the range from which the system gives ports to others: one of those may be
/// somebody else's by the time it is needed.
/// </summary>
internal static class FreePort
{
    private const int First = 20_000, Count = 12_000;

    // Not the same for two runs at a time.
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
                // Taken: the next.
            }
        }
    }
}
