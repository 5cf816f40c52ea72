using Skein.Load.Chaos;
using Skein.Load.Chaos.Network;
using Skein.Operations.Commands;

namespace Skein.Operations.Chaos;

/// <summary>
/// A model server that somebody else runs. Its connections with the gateway go through a relay, which cuts or holds them; an operator's command restarts it.
/// </summary>
public sealed class OutsideServer : IFaultyServer
{
    private static readonly TimeSpan CommandTimeout = TimeSpan.FromMinutes(2);

    private readonly Uri _server;
    private readonly ServerCommand? _restart;
    private readonly OperatorCommand _runner;
    private readonly TcpRelay? _relay;
    private readonly TimeProvider _time;

    /// <param name="server">Its address. Over https there is no relay: the certificate is for the server's own name.</param>
    /// <param name="restart">Command that restarts it; null: it is not restarted.</param>
    /// <param name="say">Receives each line that the command writes.</param>
    public OutsideServer(Uri server, ServerCommand? restart, Action<string> say, TimeProvider time)
    {
        (_server, _restart, _time, Url) = (server, restart, time, server);
        _runner = new OperatorCommand(CommandTimeout, say, time);
        Kinds = [.. CanRelay(server) ? new[] { FaultKind.Cut, FaultKind.Freeze } : [], .. restart is null ? [] : new[] { FaultKind.Restart }];
        if (!CanRelay(server))
            return;
        _relay = new TcpRelay(server.Host, server.Port);
        _relay.Listen();
        Url = new UriBuilder(server) { Host = "127.0.0.1", Port = _relay.Port }.Uri;
    }

    public Uri Url { get; }

    public IReadOnlyList<FaultKind> Kinds { get; }

    /// <summary>Whether connections to the server can be cut.</summary>
    public static bool CanRelay(Uri server) => server.Scheme == Uri.UriSchemeHttp;

    public async Task InjectAsync(InjectedFault fault, CancellationToken cancellationToken)
    {
        switch (fault.Kind)
        {
            case FaultKind.Restart when _restart is { } restart:
                await _runner.RunAsync(restart.For(_server), $"{_server.Host}:{_server.Port}", cancellationToken);
                break;
            case FaultKind.Cut when _relay is { } relay:
                await relay.CutAsync();
                try
                {
                    await Task.Delay(fault.Duration, _time, cancellationToken);
                }
                finally
                {
                    relay.Listen();
                }
                break;
            case FaultKind.Freeze when _relay is { } relay:
                relay.Hold();
                try
                {
                    await Task.Delay(fault.Duration, _time, cancellationToken);
                }
                finally
                {
                    relay.Release();
                }
                break;
            default:
                throw new ChaosException($"the fault '{ChaosRun.NameOf(fault.Kind)}' is not possible for {_server}");
        }
    }

    public ValueTask DisposeAsync() => _relay?.DisposeAsync() ?? ValueTask.CompletedTask;
}
