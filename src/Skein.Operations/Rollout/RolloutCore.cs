using Skein.Protocol;
using Orders = System.Collections.Generic.IReadOnlyList<(Skein.Operations.Rollout.RolloutOrder Order, string Name)>;

namespace Skein.Operations.Rollout;

/// <summary>
/// Decides a rolling update: observations go in, orders come out. Pure and synchronous; time is an argument. Not thread-safe. It keeps no state that
/// a later run would need: a replica at the target revision is done, however it got there.
/// </summary>
public sealed partial class RolloutCore
{
    /// <summary>How long availability may stay below the minimum, or a replica at a wrong revision, before the update stops.</summary>
    internal static readonly TimeSpan ProblemTimeout = TimeSpan.FromSeconds(15);

    private readonly RolloutPlan _plan;
    private readonly MinAvailable _minAvailable;
    private readonly List<RolloutStep> _steps;
    private readonly List<(RolloutOrder Order, string Name)> _orders = [];
    private IReadOnlyList<MemberRow> _rows;
    private TimeSpan? _blockedSince;

    /// <param name="plan">Options of the update.</param>
    /// <param name="rows">Members of the group at the start.</param>
    public RolloutCore(RolloutPlan plan, IReadOnlyList<MemberRow> rows)
    {
        _plan = plan;
        _rows = rows;
        List<MemberRow> replicas = [.. rows.Where(row => row.Role == Roles.Replica && IsIncluded(row))];
        _minAvailable = new MinAvailable(replicas, plan.MaxUnavailable);
        _steps = [.. replicas.Select(row => new RolloutStep(row, IsUpToDate(row) ? RolloutStage.Skipped : RolloutStage.Waiting))];
    }

    /// <summary>One step per replica, in the order of the members.</summary>
    public IReadOnlyList<RolloutStep> Steps => _steps;

    /// <summary>Why no further replica is begun; null if the update was not stopped.</summary>
    public string? StopReason { get; private set; }

    /// <summary>True when no step is active and no further step will begin.</summary>
    internal bool IsFinished => !_steps.Exists(step => step.IsActive) && (StopReason is not null || !_steps.Exists(step => step.IsWaiting));

    /// <summary>True when every replica is at the target revision.</summary>
    public bool IsDone => _steps.TrueForAll(step => step.Stage is RolloutStage.Updated or RolloutStage.Skipped);

    /// <summary>True while <see cref="ObserveCounters"/> should be called about once a second.</summary>
    internal bool WantsCounters => _steps.Exists(step => step.Stage == RolloutStage.WatchingErrors);

    internal Orders Observe(IReadOnlyList<MemberRow> rows, TimeSpan now)
    {
        _rows = rows;
        foreach (var step in _steps)
        {
            if (rows.FirstOrDefault(row => row.Name == step.Name) is { } row)
                step.Row = row;
            Follow(step, now);
        }
        return Decide(now);
    }

    internal Orders ObserveCounters(CounterRow counters, TimeSpan now)
    {
        foreach (var step in _steps.Where(step => step.Stage == RolloutStage.WatchingErrors))
        {
            var state = step.Errors!.Observe(counters, now);
            var burst = step.Errors.Burst.Length > 0 ? $"; last burst: {step.Errors.Burst}" : "";
            step.Detail = FormattableString.Invariant($"the error rate must stay low for {Math.Ceiling(step.Errors.Left(now).TotalSeconds):0} s more{burst}");
            if (state == GateState.Passed)
                step.Go(RolloutStage.Updated, now);
            else if (state == GateState.Failed)
                Fail(step, $"the error rate did not stay low: {step.Errors.Burst}", now);
        }
        return Decide(now);
    }

    /// <summary>Records what the drain of a replica is waiting for.</summary>
    internal Orders DrainProgress(string name, string detail, TimeSpan now) => On(name, RolloutStage.Draining, now, step => step.Detail = detail);

    internal Orders Drained(string name, TimeSpan now) => On(name, RolloutStage.Draining, now, step => Restart(step, now));

    /// <summary>The replica could not be drained: it is undrained, and no further replica is begun.</summary>
    internal Orders DrainFailed(string name, string why, TimeSpan now) => On(name, RolloutStage.Draining, now, step =>
    {
        Stop($"{name} could not be drained: {why}");
        Cancel(step, why, now);
    });

    internal Orders Restarted(string name, TimeSpan now) => On(name, RolloutStage.Restarting, now, step =>
    {
        step.Go(RolloutStage.Rejoining, now, "not back yet");
        Follow(step, now);
    });

    internal Orders RestartFailed(string name, string why, TimeSpan now) => On(name, RolloutStage.Restarting, now, step =>
    {
        // The old process may still run, drained: it can serve again.
        if (!_plan.RollsBack && step.Row.State == "alive" && step.Row.Generation == step.Generation)
            _orders.Add((RolloutOrder.Undrain, name));
        Fail(step, why, now);
    });

    internal Orders ProbePassed(string name, TimeSpan now) => On(name, RolloutStage.Probing, now, step =>
    {
        if (_plan.ErrorPeriod == TimeSpan.Zero)
        {
            step.Go(RolloutStage.Updated, now);
            return;
        }
        step.Errors = new ErrorRateGate(_plan.ErrorPeriod, _plan.MaxErrorRate, now);
        step.Go(RolloutStage.WatchingErrors, now);
    });

    internal Orders ProbeFailed(string name, string why, TimeSpan now) =>
        On(name, RolloutStage.Probing, now, step => Fail(step, $"a canary failed: {why}", now));

    /// <param name="problem">Why the rollback failed; null if it succeeded.</param>
    internal Orders RolledBack(string name, string? problem, TimeSpan now) => On(name, RolloutStage.RollingBack, now, step =>
    {
        if (problem is null)
            step.Go(RolloutStage.RolledBack, now, step.Detail);
        else
            step.Go(RolloutStage.Failed, now, $"{step.Detail}; the rollback failed: {problem}");
    });

    /// <summary>Begins no further replica. Replicas that are draining are undrained; replicas that restart are completed.</summary>
    internal Orders StopNow(string why, TimeSpan now)
    {
        Stop(why);
        return Decide(now);
    }

    private bool IsIncluded(MemberRow row) => row.State is "alive" or "suspect" || (row.State == "dead" && !_plan.IgnoreDead);

    private bool IsUpToDate(MemberRow row) => row.Revision == _plan.Revision && row.State != "dead";
}
