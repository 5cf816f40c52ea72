using Skein.Gateway.Links.InProcess;

namespace Skein.Gateway.Upstreams;

/// <summary>Runs the upstreams until the gateway has stopped serving.</summary>
internal sealed class UpstreamService(
    UpstreamFleet fleet, InProcessReplicaLink link, BackgroundTasks tasks, TimeProvider time, ILoggerFactory logs, ProcessLateness lateness)
    : IUpstreams
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, RunningUpstream> _upstreams = new(StringComparer.Ordinal);
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
            var label = options.Label ?? $"upstream-{++_added}";
            fleet.Add(name, label, options.Models, options.Url);
            var upstream = new Upstream(options, label, fleet, link, time, logs, lateness);
            var stop = new CancellationTokenSource();
            var running = Task.Run(() => RunAsync(upstream, stop.Token), CancellationToken.None);
            _upstreams[name] = new RunningUpstream(upstream, stop, running);
            tasks.Observe(running);
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
        await entry.Stop.CancelAsync();
        // A failure is the host's to report.
        await entry.Running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        lock (_gate)
        {
            // Another call may have removed it, and the name may be in use again.
            if (!_upstreams.TryGetValue(name, out var current) || current != entry)
                return;
            _upstreams.Remove(name);
            fleet.Remove(name);
        }
    }

    private async Task RunAsync(Upstream upstream, CancellationToken removed)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(removed, tasks.Stopping);
        await upstream.RunAsync(either.Token);
    }

    private sealed record RunningUpstream(Upstream Upstream, CancellationTokenSource Stop, Task Running);
}
