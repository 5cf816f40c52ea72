using Skein.Load.Measuring;
using Skein.Load.Targets;

namespace Skein.Load.Chaos;

/// <summary>Injects faults into the replicas of a cluster under a constant load of clients that check every token. The gateway must hide every fault.</summary>
public sealed class ChaosRun(ChaosOptions options, IChaosCluster cluster, TimeProvider time, Action<InjectedFault> onFault)
{
    private readonly SortedDictionary<string, int> _faults = new(StringComparer.Ordinal);

    /// <summary>Requests reference answers, injects faults for the duration, then lets all streams finish. Call once.</summary>
    /// <param name="cancellationToken">Ends the run without a report.</param>
    /// <exception cref="ArgumentException">A setting is out of its range.</exception>
    /// <exception cref="BenchException">A reference request failed.</exception>
    /// <exception cref="ChaosException">A replica did not recover.</exception>
    public async Task<ChaosReport> RunAsync(CancellationToken cancellationToken)
    {
        options.Validate();
        var targets = new List<IBenchTarget>();
        try
        {
            foreach (var address in options.Targets)
                targets.Add(await Bench.OpenAsync(Load(address), time, cancellationToken));
            return await RunAsync(targets, cancellationToken);
        }
        finally
        {
            targets.ForEach(target => target.Dispose());
        }
    }

    private async Task<ChaosReport> RunAsync(List<IBenchTarget> targets, CancellationToken cancellationToken)
    {
        BenchClient[] clients = [.. targets.Select((target, i) => new BenchClient(Load(options.Targets[i]), target, time))];
        await AskForReferencesAsync(clients, cancellationToken);

        using var failed = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var over = new CancellationTokenSource();
        var tally = new BenchTally(time);
        var streams = Task.WhenAll(
            Enumerable.Range(0, options.Streams).Select(i => AskUntilAsync(clients[i % clients.Length], i, tally, over.Token, failed.Token)));
        try
        {
            await InjectAsync(failed.Token);
        }
        catch
        {
            await failed.CancelAsync();
            throw;
        }
        finally
        {
            await over.CancelAsync();
            await streams.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await streams;
        return Report(tally.ToReport(Load(options.Targets[0]), targets[0].Model));
    }

    private async Task AskForReferencesAsync(BenchClient[] clients, CancellationToken cancellationToken)
    {
        var references = new BenchTally(time);
        foreach (var client in clients)
            await Task.WhenAll(Enumerable.Range(0, Prompts.Count).Select(prompt => client.AskAsync(prompt, references, cancellationToken)));
        if (references.Examples.Count > 0)
            throw new BenchException($"the cluster does not answer correctly before the first fault: {references.Examples[0]}");
    }

    private static async Task AskUntilAsync(BenchClient client, int first, BenchTally tally, CancellationToken over, CancellationToken cancellationToken)
    {
        for (var i = first; !over.IsCancellationRequested; i++)
            await client.AskAsync(i % Prompts.Count, tally, cancellationToken);
    }

    // Faults overlap: the next one does not wait for the recovery from the last one.
    private async Task InjectAsync(CancellationToken cancellationToken)
    {
        var plan = new FaultPlan(options.Kinds, options.LeftAlone, options.Seed);
        var running = new Dictionary<string, Task>(StringComparer.Ordinal);
        var start = time.GetTimestamp();
        while (time.GetElapsedTime(start) < options.Duration)
        {
            if (plan.Next([.. cluster.Replicas.Where(replica => !running.ContainsKey(replica))]) is { } fault)
            {
                var kind = NameOf(fault.Kind);
                _faults[kind] = _faults.GetValueOrDefault(kind) + 1;
                onFault(fault);
                running[fault.Replica] = cluster.InjectAsync(fault, cancellationToken);
            }

            await Task.Delay(options.FaultEvery, time, cancellationToken);
            foreach ((var replica, var ended) in running.Where(fault => fault.Value.IsCompleted).ToList())
            {
                running.Remove(replica);
                await ended;
            }
        }

        await Task.WhenAll(running.Values);
    }

    private ChaosReport Report(BenchReport load)
    {
        var lost = load.Errors.GetValueOrDefault(BenchErrors.TokensLost);
        var duplicated = load.Errors.GetValueOrDefault(BenchErrors.TokensDuplicated);
        return new ChaosReport(
            options.Seed, load.DurationSeconds, load.Requests, load.Tokens, _faults, cluster.PacketsLost, load.Failovers, load.StreamsFailedOver,
            lost, duplicated, load.Diverged, load.Requests - load.Succeeded - lost - duplicated - load.Diverged,
            load.Errors, load.InterTokenMs, load.FailoverGapMs, load.LongestGapMs, load.Examples);
    }

    private static IReadOnlyList<string> Prompts { get; } = BenchPrompts.Create(16);

    private BenchOptions Load(Uri target) => new()
    {
        Target = target,
        Key = options.Key,
        Tls = options.Tls,
        Concurrency = options.Streams,
        MaxTokens = options.MaxTokens,
        Prompts = Prompts,
        Temperature = 1,
        Seed = 7,
    };

    public static string NameOf(FaultKind kind) => kind.ToString().ToLowerInvariant();
}

/// <summary>A cluster that faults can be injected into. Safe for concurrent calls for different replicas.</summary>
public interface IChaosCluster
{
    /// <summary>Names of the replicas. Constant.</summary>
    IReadOnlyList<string> Replicas { get; }

    /// <summary>Packets lost so far, by faults and otherwise.</summary>
    long PacketsLost { get; }

    /// <summary>Injects a fault. Completes when the replica has recovered.</summary>
    /// <exception cref="ChaosException">The replica did not recover, or the fault could not be injected.</exception>
    Task InjectAsync(InjectedFault fault, CancellationToken cancellationToken);
}

/// <summary>The chaos run cannot continue. The message is one line for the user.</summary>
public sealed class ChaosException(string message, Exception? innerException = null) : Exception(message, innerException);
