using Skein.Engines;
using Skein.Gateway.Links.InProcess;

namespace Skein.Gateway.Upstreams;

/// <summary>
/// Keeps one upstream in the gateway's fleet while its server answers. The server is checked periodically. Each time it returns it is a new generation, and
/// is asked again what it serves.
/// </summary>
internal sealed partial class Upstream(
    UpstreamOptions options, UpstreamFleet fleet, InProcessReplicaLink link, TimeProvider time, ILoggerFactory logs, ProcessLateness lateness)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan CheckInterval = TimeSpan.FromSeconds(2);

    /// <summary>Longest wait for the streams of a server that is gone.</summary>
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(10);

    private readonly ILogger _logger = logs.CreateLogger<Upstream>();
    private ulong _generation;
    private volatile EngineHost? _host;
    private volatile bool _isRemoved;

    /// <summary>Runs until cancelled. Throws only after a bug.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            string? problem = null;
            while (!_isRemoved)
            {
                await using var engine = await ConnectAsync(problem, cancellationToken);
                problem = await ServeAsync(engine, cancellationToken);
                Log.NotServed(_logger, options.Name, problem);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The gateway stops, or the upstream was removed.
        }
    }

    /// <summary>Drains the upstream for good. Returns when no stream runs on it, or after the timeout.</summary>
    public async Task DrainAsync(TimeSpan timeout, CancellationToken cancellationToken)
    {
        _isRemoved = true;
        if (_host is { } host)
            await DrainAsync(host, timeout, cancellationToken);
    }

    private async Task DrainAsync(EngineHost host, TimeSpan timeout, CancellationToken cancellationToken)
    {
        host.Control.Drain();
        try
        {
            await host.Control.WhenIdleAsync(cancellationToken).WaitAsync(timeout, time, cancellationToken);
        }
        catch (Exception left) when (left is TimeoutException or OperationCanceledException)
        {
            // The remaining streams end with their host.
        }
    }

    /// <param name="logged">The problem that was logged last; the same one is not logged again.</param>
    private async Task<IInferenceEngine> ConnectAsync(string? logged, CancellationToken cancellationToken)
    {
        for (var pause = FirstPause; ; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            try
            {
                return await options.ConnectAsync(cancellationToken);
            }
            catch (Exception error) when (!cancellationToken.IsCancellationRequested)
            {
                if (error.Message != logged)
                    Log.NotServed(_logger, options.Name, logged = error.Message);
            }
            await Task.Delay(pause, time, cancellationToken);
        }
    }

    /// <summary>Serves until the server is gone.</summary>
    private async Task<string> ServeAsync(IInferenceEngine engine, CancellationToken cancellationToken)
    {
        _generation = Math.Max(_generation + 1, (ulong)time.GetUtcNow().ToUnixTimeMilliseconds());
        using var host = new EngineHost(
            engine, new EngineHostOptions { Slots = options.Slots, EngineTimeout = options.EngineTimeout, Generation = _generation }, time, logs, lateness);
        ReplicaDescription replica;
        try
        {
            await host.StartAsync(cancellationToken);
            replica = new ReplicaDescription
            {
                Id = new ReplicaId(options.Name, _generation),
                Address = InProcessReplicaLink.Address,
                Models = [.. (await engine.DescribeAsync(cancellationToken)).Models.Select(model => model.Name)],
                Slots = host.Control.Slots,
            };
        }
        catch (Exception error) when (!cancellationToken.IsCancellationRequested)
        {
            return error.Message;
        }
        _host = host;
        link.Add(replica.Id, host);
        fleet.Up(replica, host.Control);
        try
        {
            Log.Served(_logger, options.Name, string.Join(", ", replica.Models), replica.Slots);
            return await RunAsync(engine, host, replica, cancellationToken);
        }
        finally
        {
            fleet.Down(options.Name);
            await DrainAsync(host, StopTimeout, cancellationToken);
            _host = null;
            host.Abort();
            link.Remove(replica.Id);
        }
    }

    private async Task<string> RunAsync(IInferenceEngine engine, EngineHost host, ReplicaDescription replica, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var running = host.RunAsync(stop.Token);
        var checking = CheckUntilGoneAsync(engine, host, replica, stop.Token);
        await Task.WhenAny(running, checking);
        await stop.CancelAsync();
        await running;
        return await checking;
    }

    private async Task<string> CheckUntilGoneAsync(
        IInferenceEngine engine, EngineHost host, ReplicaDescription replica, CancellationToken cancellationToken)
    {
        var checks = new UpstreamChecks(options.EngineTimeout);
        while (true)
        {
            await Task.Delay(CheckInterval, time, cancellationToken);
            var late = lateness.Total;
            if (await FailureOfAsync(engine, checks.CheckTimeout, cancellationToken) is not { } failure)
                checks.Passed();
            else if (checks.Failed(
                failure.Fault, isBusy: host.Control.Report().Running > 0, isLast: !fleet.HasPeer(replica), wasLate: lateness.Total > late))
                return failure.Message;
        }
    }

    private async Task<FaultException?> FailureOfAsync(IInferenceEngine engine, TimeSpan timeout, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            await engine.CheckAsync(either.Token);
            return null;
        }
        catch (FaultException error)
        {
            return error;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new FaultException(Fault.EngineTimedOut, $"{options.Name} did not answer within {timeout.TotalSeconds:0.#} s");
        }
        catch (Exception error) when (!cancellationToken.IsCancellationRequested)
        {
            // A bug of the engine: it must not stop the gateway.
            return new FaultException(Fault.EngineFailed, error.Message, error);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(3021, LogLevel.Warning, "Upstream {Name} is not served: {Problem}. Connecting is retried")]
        public static partial void NotServed(ILogger logger, string name, string problem);

        [LoggerMessage(3022, LogLevel.Information, "Upstream {Name} is served: {Models}; {Slots} slots")]
        public static partial void Served(ILogger logger, string name, string models, int slots);
    }
}
