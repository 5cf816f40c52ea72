using System.Collections.Concurrent;
using System.Threading.Channels;
using Skein.Operations.Fleet;
using Orders = System.Collections.Generic.IReadOnlyList<(Skein.Operations.Rollout.RolloutOrder Order, string Name)>;

namespace Skein.Operations.Rollout;

/// <summary>What a rolling update uses besides its plan.</summary>
/// <param name="Canaries">Rounds of short answers that a restarted replica must give.</param>
/// <param name="Restart">Restarts a replica; null: the replica restarts itself.</param>
/// <param name="RollBack">Rolls a replica back; null: there is no rollback.</param>
public sealed record RolloutTools(TimeSpan Grace, int Canaries, RestartCommand? Restart, RestartCommand? RollBack);

/// <summary>The asynchronous shell of <see cref="RolloutCore"/>: polls the group, executes orders and reports their results to the core.</summary>
public sealed class RolloutRun(GatewayClient gateway, RolloutPlan plan, RolloutTools tools, TimeProvider time)
{
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan CountPeriod = TimeSpan.FromSeconds(1);

    private readonly Channel<Func<RolloutCore, TimeSpan, Orders>> _events = Channel.CreateUnbounded<Func<RolloutCore, TimeSpan, Orders>>();
    private readonly ConcurrentDictionary<string, Task<ReplicaRow>> _drains = new(StringComparer.Ordinal);
    private readonly List<Task> _running = [];
    private readonly long _began = time.GetTimestamp();
    private TimeSpan? _unreachableSince;
    private TimeSpan _counted = -CountPeriod;

    public TimeSpan Now => time.GetElapsedTime(_began);

    /// <summary>Runs until the core has finished.</summary>
    /// <param name="show">Called after each change.</param>
    /// <param name="stop">Begins no further replica; replicas in progress are completed.</param>
    /// <param name="atOnce">Abandons replicas in progress.</param>
    /// <exception cref="OperationCanceledException">The run was ended by <paramref name="atOnce"/>.</exception>
    /// <exception cref="CommandFailedException">The gateway stayed unreachable.</exception>
    public async Task RunAsync(RolloutCore core, Action show, CancellationToken stop, CancellationToken atOnce)
    {
        while (!core.IsFinished)
        {
            if (stop.IsCancellationRequested)
                Execute(core.StopNow("stopped by the operator", Now), atOnce);
            await PollAsync(core, atOnce);
            show();
            await WaitAsync(atOnce);
            while (_events.Reader.TryRead(out var next))
                Execute(next(core, Now), atOnce);
            show();
        }
        // Undrains of cancelled steps must complete.
        await Task.WhenAll(_running).WaitAsync(atOnce);
    }

    private async Task WaitAsync(CancellationToken cancellationToken)
    {
        using var pause = new CancellationTokenSource(Period, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(pause.Token, cancellationToken);
        await ((Task)_events.Reader.WaitToReadAsync(either.Token).AsTask()).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancellationToken.ThrowIfCancellationRequested();
    }

    private async Task PollAsync(RolloutCore core, CancellationToken cancellationToken)
    {
        try
        {
            Execute(core.Observe(await gateway.MembersAsync(cancellationToken), Now), cancellationToken);
            if (core.WantsCounters && Now - _counted >= CountPeriod)
            {
                _counted = Now;
                Execute(core.ObserveCounters(await gateway.CountersAsync(cancellationToken), Now), cancellationToken);
            }
            _unreachableSince = null;
        }
        catch (CommandFailedException error)
        {
            // A gateway may restart. While it is away nothing is known about the group, so nothing new is begun.
            _unreachableSince ??= Now;
            if (Now - _unreachableSince >= RolloutCore.ProblemTimeout)
                throw new CommandFailedException($"{error.Message}; the rollout stops where it is, run it again to continue", error);
        }
    }

    private void Execute(Orders orders, CancellationToken atOnce)
    {
        _running.RemoveAll(task => task.IsCompletedSuccessfully);
        foreach ((var order, var name) in orders)
            _running.Add(ExecuteAsync(order, name, atOnce));
    }

    private async Task ExecuteAsync(RolloutOrder order, string name, CancellationToken atOnce)
    {
        string? problem = null;
        try
        {
            switch (order)
            {
                case RolloutOrder.Drain:
                    problem = await DrainAsync(name, atOnce);
                    break;
                case RolloutOrder.Undrain:
                    await UndrainAsync(name, atOnce);
                    break;
                case RolloutOrder.Restart:
                    await (tools.Restart?.RunAsync(name, atOnce) ?? gateway.RestartAsync(name, plan.Revision, atOnce));
                    break;
                case RolloutOrder.Probe:
                    for (var canary = 0; canary < tools.Canaries; canary++)
                        await gateway.ProbeAsync(name, atOnce);
                    break;
                default:
                    await tools.RollBack!.RunAsync(name, atOnce);
                    break;
            }
        }
        catch (Exception error) when (error is CommandFailedException or UsageException)
        {
            problem = error is GatewayRefusedException refused ? refused.Reason : error.Message;
        }
        Post((core, now) => core.Executed(order, name, problem, now));
    }

    /// <returns>Why the replica could not be drained; null if it is.</returns>
    private async Task<string?> DrainAsync(string name, CancellationToken atOnce)
    {
        var drain = _drains[name] = gateway.DrainAsync(name, tools.Grace, atOnce);
        var outcome = await new DrainWait(gateway, time).RunAsync(
            name, drain, plan.Timeout, blocked => Post((core, now) => core.DrainProgress(name, blocked, now)), atOnce);
        return outcome.Outcome == DrainOutcome.TimedOut ? DrainWait.Explain(outcome, plan.Timeout) : null;
    }

    private async Task UndrainAsync(string name, CancellationToken atOnce)
    {
        // The drain call may still be in flight. If the undrain overtook it, the replica would stay drained.
        if (_drains.TryGetValue(name, out var drain))
            await drain.ContinueWith(_ => { }, atOnce, TaskContinuationOptions.None, TaskScheduler.Default);
        await gateway.UndrainAsync(name, atOnce);
    }

    private void Post(Func<RolloutCore, TimeSpan, Orders> happened) => _events.Writer.TryWrite(happened);
}
