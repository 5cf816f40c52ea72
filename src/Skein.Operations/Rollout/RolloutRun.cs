using System.Collections.Concurrent;
using System.Threading.Channels;
using Skein.Operations.Fleet;
using Skein.Gateway.Admin;

namespace Skein.Operations.Rollout;

/// <summary>What the shell of a rolling update needs beside the plan.</summary>
/// <param name="Grace">Of each drain.</param>
/// <param name="DrainTimeout">Longest drain.</param>
/// <param name="Canaries">Rounds of short answers that a replica must give when it is back.</param>
/// <param name="Restart">Restarts a replica; null: it is asked to restart itself.</param>
/// <param name="RollBack">Takes a replica back; null: nothing does.</param>
public sealed record RolloutTools(TimeSpan Grace, TimeSpan DrainTimeout, int Canaries, RestartCommand? Restart, RestartCommand? RollBack);

/// <summary>The shell around <see cref="RolloutCore"/>: looks at the group, executes orders, tells the core how they ended.</summary>
public sealed class RolloutRun(FleetClient fleet, RolloutPlan plan, RolloutTools tools, TimeProvider time)
{
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan CountPeriod = TimeSpan.FromSeconds(1);

    private readonly Channel<Func<RolloutCore, TimeSpan, IReadOnlyList<(RolloutOrder Order, string Name)>>> _events =
        Channel.CreateUnbounded<Func<RolloutCore, TimeSpan, IReadOnlyList<(RolloutOrder, string)>>>();

    private readonly ConcurrentDictionary<string, Task<ReplicaRow>> _drains = new(StringComparer.Ordinal);
    private readonly List<Task> _running = [];
    private readonly long _began = time.GetTimestamp();
    private TimeSpan? _deafSince;
    private TimeSpan _counted = -CountPeriod;

    public TimeSpan Now => time.GetElapsedTime(_began);

    /// <param name="core">Decides.</param>
    /// <param name="show">Called after each change.</param>
    /// <param name="stop">Begins no more replicas, and sees through what is under way.</param>
    /// <param name="atOnce">Sees nothing through.</param>
    /// <exception cref="OperationCanceledException">Ended by <paramref name="atOnce"/>.</exception>
    public async Task RunAsync(RolloutCore core, Action show, CancellationToken stop, CancellationToken atOnce)
    {
        while (!core.IsFinished)
        {
            if (stop.IsCancellationRequested)
                Execute(core.StopNow("stopped by the operator", Now), atOnce);
            await LookAsync(core, atOnce);
            show();
            await EventAsync(atOnce);
            while (_events.Reader.TryRead(out var next))
                Execute(next(core, Now), atOnce);
            show();
        }
        // Replicas that were called off get their work back before the end.
        await Task.WhenAll(_running).WaitAsync(atOnce);
    }

    /// <summary>An event, or the time for the next look.</summary>
    private async Task EventAsync(CancellationToken cancellationToken)
    {
        using var pause = new CancellationTokenSource(Period, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(pause.Token, cancellationToken);
        try
        {
            await _events.Reader.WaitToReadAsync(either.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // Time for the next look.
        }
    }

    private async Task LookAsync(RolloutCore core, CancellationToken cancellationToken)
    {
        try
        {
            Execute(core.See(await fleet.MembersAsync(cancellationToken), Now), cancellationToken);
            if (core.WantsCounters && Now - _counted >= CountPeriod)
            {
                _counted = Now;
                var counters = await fleet.CountersAsync(cancellationToken);
                Execute(core.Count(counters, Now), cancellationToken);
            }
            _deafSince = null;
        }
        catch (CommandFailedException error)
        {
            // A gateway may restart too; without one nothing can be seen, and what is not seen must not be touched.
            _deafSince ??= Now;
            if (Now - _deafSince >= RolloutCore.Patience)
                throw new CommandFailedException($"{error.Message}; the rollout stops where it is, run it again to go on", error);
        }
    }

    private void Execute(IReadOnlyList<(RolloutOrder Order, string Name)> orders, CancellationToken atOnce)
    {
        _running.RemoveAll(task => task.IsCompletedSuccessfully);
        foreach ((var order, var name) in orders)
            _running.Add(ExecuteAsync(order, name, atOnce));
    }

    private async Task ExecuteAsync(RolloutOrder order, string name, CancellationToken atOnce)
    {
        try
        {
            switch (order)
            {
                case RolloutOrder.Drain:
                    await DrainAsync(name, atOnce);
                    break;
                case RolloutOrder.Undrain:
                    await UndrainAsync(name, atOnce);
                    break;
                case RolloutOrder.Restart:
                    await (tools.Restart?.RunAsync(name, atOnce) ?? fleet.RestartAsync(name, plan.Revision, atOnce));
                    Post((core, now) => core.Restarted(name, now));
                    break;
                case RolloutOrder.Probe:
                    for (var canary = 0; canary < tools.Canaries; canary++)
                        await fleet.ProbeAsync(name, atOnce);
                    Post((core, now) => core.Probed(name, now));
                    break;
                default:
                    await tools.RollBack!.RunAsync(name, atOnce);
                    Post((core, now) => core.RolledBack(name, null, now));
                    break;
            }
        }
        catch (Exception error) when (error is CommandFailedException or UsageException)
        {
            var why = error is GatewayRefusedException refused ? refused.Reason : error.Message;
            Post((core, now) => Failed(core, order, name, why, now));
        }
    }

    private async Task DrainAsync(string name, CancellationToken atOnce)
    {
        var asked = _drains[name] = fleet.DrainAsync(name, tools.Grace, atOnce);
        var outcome = await new DrainWait(fleet, time).RunAsync(
            name, asked, tools.DrainTimeout, blocked => Post((core, now) => core.Note(name, blocked, now)), atOnce);
        Post((core, now) => outcome.Outcome == DrainOutcome.TimedOut
            ? core.NotDrained(name, DrainWait.Explain(outcome, tools.DrainTimeout), now)
            : core.Drained(name, now));
    }

    private async Task UndrainAsync(string name, CancellationToken atOnce)
    {
        // The order to drain may still be on its way: overtaken, it would have the last word.
        if (_drains.TryGetValue(name, out var asked))
            await asked.ContinueWith(_ => { }, atOnce, TaskContinuationOptions.None, TaskScheduler.Default);
        await fleet.UndrainAsync(name, atOnce);
    }

    private static IReadOnlyList<(RolloutOrder Order, string Name)> Failed(RolloutCore core, RolloutOrder order, string name, string why, TimeSpan now) => order switch
    {
        RolloutOrder.Drain => core.NotDrained(name, why, now),
        RolloutOrder.Restart => core.NotRestarted(name, why, now),
        RolloutOrder.Probe => core.NotProbed(name, why, now),
        RolloutOrder.RollBack => core.RolledBack(name, why, now),
        _ => core.StopNow($"{name} could not be taken back: {why}", now),
    };

    private void Post(Func<RolloutCore, TimeSpan, IReadOnlyList<(RolloutOrder, string)>> happened) => _events.Writer.TryWrite(happened);
}
