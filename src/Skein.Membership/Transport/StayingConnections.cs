using System.Net.Sockets;

namespace Skein.Membership.Transport;

/// <summary>
/// Connections of those who watch this member. There is room for so many; then the oldest gives way to the newest: its watcher asks again if
/// it lives, and whoever collects places loses them to those who come. Safe from any thread.
/// </summary>
internal sealed class StayingConnections(int most)
{
    private readonly Lock _lock = new();
    private readonly LinkedList<Socket> _byAge = [];

    /// <summary>Takes one up; closes the oldest where there is no room.</summary>
    public void Add(Socket socket)
    {
        Socket? oldest = null;
        lock (_lock)
        {
            _byAge.AddLast(socket);
            if (_byAge.Count > most)
            {
                oldest = _byAge.First!.Value;
                _byAge.RemoveFirst();
            }
        }
        oldest?.Dispose();
    }

    /// <summary>Forgets one that has ended.</summary>
    public void Remove(Socket socket)
    {
        lock (_lock)
            _byAge.Remove(socket);
    }
}
