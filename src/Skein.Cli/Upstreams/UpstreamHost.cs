using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Logging;
using Skein.Engines.OpenAiCompatible;
using Skein.Gateway.Upstreams;

namespace Skein.Cli.Upstreams;

/// <summary>All upstreams of a gateway, kept until it is disposed: after the gateway's streams have ended.</summary>
internal sealed class UpstreamHost : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;

    /// <param name="servers">The upstreams.</param>
    /// <param name="enginePatience">How long a server may be silent.</param>
    /// <param name="fleet">Told of them.</param>
    /// <param name="configure">Adds logging to their replicas.</param>
    /// <param name="logger">Told when a server comes and goes.</param>
    public UpstreamHost(IEnumerable<OpenAiEngineOptions> servers, TimeSpan enginePatience, IUpstreams fleet, Action<WebApplicationBuilder> configure, ILogger logger) =>
        _running = Task.WhenAll(servers.Select(server => new Upstream(server, enginePatience, fleet, configure, logger, TimeProvider.System).RunAsync(_stop.Token)));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
    }
}
