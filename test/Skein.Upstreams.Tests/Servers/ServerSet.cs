using System.Collections;

namespace Skein.Upstreams.Tests.Servers;

/// <summary>Several servers of one kind, which are stopped together.</summary>
internal sealed class ServerSet : IReadOnlyList<ScriptedServer>, IAsyncDisposable
{
    private readonly ScriptedServer[] _servers;

    private ServerSet(ScriptedServer[] servers) => _servers = servers;

    public int Count => _servers.Length;

    /// <summary>Generations of clients so far, of all servers.</summary>
    public int Generations => _servers.Sum(server => server.Generations);

    public ScriptedServer this[int index] => _servers[index];

    /// <param name="generate">Answers generations of clients. Default: the small model.</param>
    public static ServerSet Of(int count, Answer? generate = null) => new([.. Enumerable.Range(0, count).Select(_ => new ScriptedServer(generate))]);

    public IEnumerator<ScriptedServer> GetEnumerator() => ((IEnumerable<ScriptedServer>)_servers).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public async ValueTask DisposeAsync()
    {
        foreach (var server in _servers)
            await server.DisposeAsync();
    }
}
