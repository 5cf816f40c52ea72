using Microsoft.Extensions.Logging;
using Skein.Gateway.Links;
using Skein.Gateway.Links.InProcess;

namespace Skein.Gateway.Upstreams;

/// <summary>Runs the upstreams until the gateway has stopped serving.</summary>
internal sealed class UpstreamService(UpstreamFleet fleet, InProcessReplicaLink link, TimeProvider time, ILoggerFactory logs) : BackgroundTasks, IUpstreams
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, RunningUpstream> _upstreams = new(StringComparer.Ordinal);

    public IReadOnlyList<string> Names
    {
        get
        {
            lock (_gate)
                return [.. _upstreams.Keys.Order(StringComparer.Ordinal)];
        }
    }

    public void Add(UpstreamOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var name = options.Name;
        if (name.Length is 0 or > 128 || name.AsSpan().ContainsAnyExceptInRange('!', '~'))
            throw new ArgumentException($"the upstream's name is '{name}'; allowed: 1 to 128 characters of printable ASCII", nameof(options));
        lock (_gate)
        {
            if (_upstreams.ContainsKey(name))
                throw new ArgumentException($"there is an upstream '{name}' already", nameof(options));
            fleet.Add(name);
            var upstream = new Upstream(options, fleet, link, time, logs);
            var stop = new CancellationTokenSource();
            var running = Task.Run(() => upstream.RunAsync(stop.Token), CancellationToken.None);
            _upstreams[name] = new RunningUpstream(upstream, stop, running);
            Observe(running);
        }
    }

    public async Task RemoveAsync(string name, TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(timeout, TimeSpan.Zero);
        RunningUpstream? entry;
        lock (_gate)
        {
            if (!_upstreams.TryGetValue(name, out entry))
                throw new ArgumentException($"there is no upstream '{name}'; allowed: {string.Join(", ", _upstreams.Keys)}", nameof(name));
        }
        await entry.Upstream.DrainAsync(timeout, cancellationToken);
        await entry.StopAsync();
        lock (_gate)
            _upstreams.Remove(name);
        fleet.Remove(name);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        RunningUpstream[] running;
        lock (_gate)
            running = [.. _upstreams.Values];
        await Task.WhenAll(running.Select(entry => entry.StopAsync()));
        await base.StopAsync(cancellationToken);
    }

    private sealed record RunningUpstream(Upstream Upstream, CancellationTokenSource Stop, Task Running)
    {
        // A failure is the host's to report, not that of whoever stops the upstream.
        public async Task StopAsync()
        {
            await Stop.CancelAsync();
            await Running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
