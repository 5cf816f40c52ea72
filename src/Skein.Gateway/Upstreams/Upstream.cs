using System.Collections.Frozen;
using Skein.Engines;
using Skein.Gateway.Group;
using Skein.Gateway.Links.InProcess;

namespace Skein.Gateway.Upstreams;

/// <summary>
/// Keeps one upstream in the gateway's fleet while its server answers. The server is checked periodically. Each time it returns it is a new generation, and
/// is asked again what it serves.
/// </summary>
internal sealed partial class Upstream(
    UpstreamOptions options, UpstreamRow row, UpstreamFleet fleet, InProcessReplicaLink link, TimeProvider time, ILoggerFactory logs, ProcessLateness lateness)
{
    private const int MostLoggedModels = 8;

    /// <summary>Between two attempts to connect: a server is served soon after it is ready.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);

    /// <summary>The same while an operator must act first.</summary>
    private static readonly TimeSpan FinalPause = TimeSpan.FromSeconds(2);

    /// <summary>
    /// A server that takes longer for its first answer is reported. Longer than the timeout of making a connection, which is reported as that.
    /// </summary>
    private static readonly TimeSpan SilenceToTell = TimeSpan.FromSeconds(6);

    private static readonly TimeSpan CheckInterval = TimeSpan.FromSeconds(2);

    /// <summary>Longest wait for the streams of a server that is gone.</summary>
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(10);

    private readonly ILogger _logger = logs.CreateLogger<Upstream>();
    private ulong _generation;
    private volatile EngineHost? _host;
    private volatile bool _isRemoved;

    /// <summary>Whether its server, as far as known, takes one request at a time.</summary>
    public bool HasOneSlot => _host?.Control.EngineSlots == 1;

    /// <summary>Runs until cancelled. Throws only after a bug.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            string? logged = null;
            while (!_isRemoved)
            {
                await using var engine = await ConnectAsync(logged, cancellationToken);
                var problem = await ServeAsync(engine, cancellationToken);
                Log.NotServed(_logger, options.Name, logged = problem.Reason);
                fleet.Failed(row, problem);
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

    /// <param name="logged">The reason that was logged last; the same one is not logged again.</param>
    private async Task<IInferenceEngine> ConnectAsync(string? logged, CancellationToken cancellationToken)
    {
        while (true)
        {
            UpstreamProblem problem;
            try
            {
                var connecting = options.ConnectAsync(cancellationToken);
                return await (logged is null ? TellSilenceAsync(connecting, cancellationToken) : connecting);
            }
            catch (Exception error) when (!cancellationToken.IsCancellationRequested)
            {
                problem = UpstreamProblem.Of(error);
            }
            if (problem.Reason != logged)
            {
                Log.NotServed(_logger, options.Name, logged = problem.Reason);
                fleet.Failed(row, problem);
            }
            await Task.Delay(problem.IsFinal ? FinalPause : Pause, time, cancellationToken);
        }
    }

    private async Task<IInferenceEngine> TellSilenceAsync(Task<IInferenceEngine> connecting, CancellationToken cancellationToken)
    {
        using var answered = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        if (await Task.WhenAny(connecting, Task.Delay(SilenceToTell, time, answered.Token)) != connecting && !cancellationToken.IsCancellationRequested)
        {
            var problem = UpstreamProblem.Silent(SilenceToTell);
            Log.NotServed(_logger, options.Name, problem.Reason);
            fleet.Failed(row, problem);
        }
        await answered.CancelAsync();
        return await connecting;
    }

    /// <summary>Serves until the server is gone.</summary>
    private async Task<UpstreamProblem> ServeAsync(IInferenceEngine engine, CancellationToken cancellationToken)
    {
        _generation = fleet.NextGeneration();
        using var host = new EngineHost(
            engine,
            new EngineHostOptions { Name = options.Name, Slots = options.Slots, EngineTimeout = options.EngineTimeout, Generation = _generation },
            time, logs, lateness);
        ReplicaDescription replica;
        try
        {
            await host.StartAsync(cancellationToken);
            replica = Describe(engine, await engine.DescribeAsync(cancellationToken), host);
        }
        catch (Exception error) when (!cancellationToken.IsCancellationRequested)
        {
            return UpstreamProblem.Of(error);
        }
        _host = host;
        link.Add(replica.Id, host);
        fleet.Up(row, replica, host.Control, () => host.KeyRefusal);
        host.DescriptionChanged += description => Update(Describe(engine, description, host));
        try
        {
            var slots = host.HasAdaptiveSlots ? $"{replica.Slots} slots (adaptive)" : replica.Slots == 1 ? "1 slot" : $"{replica.Slots} slots";
            Log.Served(_logger, options.Name, row.Label, replica.Kind, ModelsOf(replica), slots, TierOf(replica));
            return await RunAsync(engine, host, replica.Id, cancellationToken);
        }
        finally
        {
            fleet.Down(row);
            await DrainAsync(host, StopTimeout, cancellationToken);
            _host = null;
            host.Abort();
            link.Remove(replica.Id);
        }
    }

    private ReplicaDescription Describe(IInferenceEngine engine, EngineDescription described, EngineHost host) => new()
    {
        Id = new ReplicaId(options.Name, _generation),
        PublicName = row.Label,
        Address = InProcessReplicaLink.Address,
        Models = [.. described.Models.Select(model => model.Name)],
        Slots = host.Control.Slots,
        Weight = options.Weight,
        Kind = engine.Kind,
        Tier = GroupFleet.BestTier(described.Models),
        TierReason = GroupFleet.ReasonOf(described.Models),
        ModelDescriptions = described.Models.ToFrozenDictionary(model => model.Name, StringComparer.Ordinal),
    };

    private void Update(ReplicaDescription replica)
    {
        fleet.Update(row, replica);
        Log.Changed(_logger, options.Name, ModelsOf(replica), TierOf(replica));
    }

    private static string TierOf(ReplicaDescription replica) =>
        replica.TierReason.Length > 0 ? $"{replica.Tier} ({replica.TierReason})" : replica.Tier;

    private static string ModelsOf(ReplicaDescription replica) =>
        $"{(replica.Models.Count == 1 ? "model" : "models")} {string.Join(", ", replica.Models.Take(MostLoggedModels))}"
        + (replica.Models.Count > MostLoggedModels ? $" and {replica.Models.Count - MostLoggedModels} more" : "");

    private async Task<UpstreamProblem> RunAsync(IInferenceEngine engine, EngineHost host, ReplicaId id, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var running = host.RunAsync(stop.Token);
        var checking = CheckUntilGoneAsync(engine, host, id, stop.Token);
        await Task.WhenAny(running, checking);
        await stop.CancelAsync();
        await running;
        return await checking;
    }

    private async Task<UpstreamProblem> CheckUntilGoneAsync(IInferenceEngine engine, EngineHost host, ReplicaId id, CancellationToken cancellationToken)
    {
        var checks = new UpstreamChecks(options.EngineTimeout);
        while (true)
        {
            await Task.Delay(CheckInterval, time, cancellationToken);
            var late = lateness.Total;
            if (await FailureOfAsync(engine, checks.CheckTimeout, cancellationToken) is not { } failure)
                checks.Passed();
            else if (checks.Failed(failure.Fault, isBusy: host.Control.Report().Running > 0, wasLate: lateness.Total > late)
                && (failure.Fault != Fault.EngineTimedOut || fleet.TryLeave(id)))
                return UpstreamProblem.Of(failure);
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
        [LoggerMessage(3021, LogLevel.Warning, "Upstream {Name} is not served: it {Problem}. Connecting is retried")]
        public static partial void NotServed(ILogger logger, string name, string problem);

        [LoggerMessage(3023, LogLevel.Information, "Upstream {Name} serves now: {Models}, resume tier {Tier}")]
        public static partial void Changed(ILogger logger, string name, string models, string tier);

        [LoggerMessage(3022, LogLevel.Information, "Upstream {Name} is served: kind {Kind}, {Models}, {Slots}, resume tier {Tier}; clients see {Label}")]
        public static partial void Served(ILogger logger, string name, string label, string kind, string models, string slots, string tier);
    }
}
