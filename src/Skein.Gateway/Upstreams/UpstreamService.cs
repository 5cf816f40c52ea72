using Skein.Gateway.Links.InProcess;

namespace Skein.Gateway.Upstreams;

/// <summary>Runs the upstreams until the gateway has stopped serving.</summary>
internal sealed class UpstreamService(
    UpstreamFleet fleet, InProcessReplicaLink link, BackgroundTasks tasks, TimeProvider time, ILoggerFactory logs, ProcessLateness lateness)
    : IUpstreams
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, RunningUpstream> _upstreams = new(StringComparer.Ordinal);
    private readonly List<RunningUpstream> _leaving = [];
    private int _added;

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
        OptionGuard.Range(options.Slots ?? 1, 1, 100_000, nameof(options.Slots));
        OptionGuard.Range(options.Weight, 0.001, 1000, nameof(options.Weight));
        if (options.Label is { Length: 0 or > 128 } || (options.Label ?? "").AsSpan().ContainsAnyExceptInRange(' ', '~'))
            throw new ArgumentException($"the upstream's label is '{options.Label}'; allowed: 1 to 128 characters of printable ASCII", nameof(options));
        OptionGuard.Range(options.EngineTimeout, TimeSpan.FromMilliseconds(300), TimeSpan.FromHours(1), nameof(options.EngineTimeout));
        lock (_gate)
        {
            if (_upstreams.ContainsKey(name))
                throw new ArgumentException($"there is an upstream '{name}' already", nameof(options));
            if (options.Url is { } url && _upstreams.Values.FirstOrDefault(other => other.IsOn(url)) is { } same)
                throw new ArgumentException($"the upstream '{same.Row.Name}' is the same server, {url}; allowed: each server once", nameof(options));
            var row = fleet.Add(name, options.Label ?? $"upstream-{++_added}", options.Models, options.Url);
            var upstream = new Upstream(options, row, fleet, link, time, logs, lateness);
            var stop = new CancellationTokenSource();
            // A server that takes one request at a time must not get one of the new upstream beside those that still run.
            var before = Task.WhenAll(
                _leaving.Where(other => options.Url is { } url && other.IsOn(url) && other.Upstream.HasOneSlot).Select(other => other.Running));
            var running = Task.Run(() => RunAsync(upstream, before, stop.Token), CancellationToken.None);
            _upstreams[name] = new RunningUpstream(upstream, row, stop, running);
            tasks.Observe(running);
        }
    }

    public async Task RemoveAsync(string name, TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(timeout, TimeSpan.Zero);
        RunningUpstream? entry;
        lock (_gate)
        {
            if (!_upstreams.Remove(name, out entry))
                throw new ArgumentException($"there is no upstream '{name}'; allowed: {string.Join(", ", _upstreams.Keys)}", nameof(name));
            _leaving.Add(entry);
            fleet.Leave(entry.Row);
        }
        await entry.Upstream.DrainAsync(timeout, cancellationToken);
        await entry.Stop.CancelAsync();
        // A failure is the host's to report.
        await entry.Running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        lock (_gate)
        {
            _leaving.Remove(entry);
            fleet.Remove(entry.Row);
        }
    }

    private async Task RunAsync(Upstream upstream, Task before, CancellationToken removed)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(removed, tasks.Stopping);
        await before.WaitAsync(either.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await upstream.RunAsync(either.Token);
    }

    private sealed record RunningUpstream(Upstream Upstream, UpstreamRow Row, CancellationTokenSource Stop, Task Running)
    {
        public bool IsOn(Uri url) => Row.Url is { } own && UpstreamSharing.IsSameServer(own, url);
    }
}
