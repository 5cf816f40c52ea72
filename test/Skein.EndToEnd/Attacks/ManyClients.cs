using System.Net;
using System.Net.Sockets;

namespace Skein.EndToEnd.Attacks;

/// <summary>Connections that end together, also when a test fails.</summary>
internal sealed class ManyClients : IDisposable
{
    public List<TcpClient> All { get; } = [];

    /// <returns>False when it was closed at once.</returns>
    public async Task<bool> TryAddAsync(IPEndPoint to)
    {
        var client = new TcpClient { NoDelay = true };
        All.Add(client);
        try
        {
            await client.ConnectAsync(to);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    public void Dispose() => All.ForEach(client => client.Dispose());
}
