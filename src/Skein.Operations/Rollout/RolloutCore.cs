using Skein.Protocol;
using Orders = System.Collections.Generic.IReadOnlyList<(Skein.Operations.Rollout.RolloutOrder Order, string Name)>;

namespace Skein.Operations.Rollout;

/// <summary>
/// Decides a rolling update: observations go in, orders come out. Pure and synchronous; time is an argument. Not thread-safe. It keeps no state that
/// a later run would need: a replica at the target revision is done, however it got there.
/// </summary>
public sealed class RolloutCore
{
    /// <summary>How long availability may stay below the minimum, or a replica at a wrong revision, before the update stops.</summary>
    internal static readonly TimeSpan ProblemTimeout = TimeSpan.FromSeconds(15);

    private readonly RolloutPlan _plan;
    private readonly MinAvailable _minAvailable;
    private readonly List<RolloutStep> _steps;
    private readonly List<(RolloutOrder Order, string Name)> _orders = [];
    private IReadOnlyList<MemberRow> _rows;
    private TimeSpan? _blockedSince;

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
    internal Orders DrainProgress(string name, string detail, TimeSpan now)
    {
        _steps.Find(step => step.Name == name && step.Stage == RolloutStage.Draining)?.Detail = detail;
        return Decide(now);
    }

    /// <summary>Reports that an order has ended. A report that arrives after its stage has ended is ignored.</summary>
    /// <param name="problem">Why the order failed; null if it succeeded.</param>
    internal Orders Executed(RolloutOrder order, string name, string? problem, TimeSpan now)
    {
        var step = _steps.Single(step => step.Name == name);
        switch (order, step.Stage)
        {
            case (RolloutOrder.Undrain, _) when problem is not null:
                Stop($"{name} could not be undrained: {problem}");
                break;
            case (RolloutOrder.Drain, RolloutStage.Draining) when problem is null:
                Restart(step, now);
                break;
            case (RolloutOrder.Drain, RolloutStage.Draining):
                Stop($"{name} could not be drained: {problem}");
                Cancel(step, problem, now);
                break;
            case (RolloutOrder.Restart, RolloutStage.Restarting) when problem is null:
                step.Go(RolloutStage.Rejoining, now, "not back yet");
                Follow(step, now);
                break;
            case (RolloutOrder.Restart, RolloutStage.Restarting):
                // The old process may still run, drained: it can serve again.
                if (!_plan.RollsBack && step.Row.State == "alive" && step.Row.Generation == step.Generation)
                    _orders.Add((RolloutOrder.Undrain, name));
                Fail(step, problem, now);
                break;
            case (RolloutOrder.Probe, RolloutStage.Probing) when problem is not null:
                Fail(step, $"a canary failed: {problem}", now);
                break;
            case (RolloutOrder.Probe, RolloutStage.Probing):
                step.Errors = new ErrorRateGate(_plan.ErrorPeriod, _plan.MaxErrorRate, now);
                step.Go(_plan.ErrorPeriod == TimeSpan.Zero ? RolloutStage.Updated : RolloutStage.WatchingErrors, now);
                break;
            case (RolloutOrder.RollBack, RolloutStage.RollingBack) when problem is null:
                step.Go(RolloutStage.RolledBack, now, step.Detail);
                break;
            case (RolloutOrder.RollBack, RolloutStage.RollingBack):
                step.Go(RolloutStage.Failed, now, $"{step.Detail}; the rollback failed: {problem}");
                break;
        }
        return Decide(now);
    }

    /// <summary>Begins no further replica. Replicas that are draining are undrained; replicas that restart are completed.</summary>
    internal Orders StopNow(string why, TimeSpan now)
    {
        Stop(why);
        return Decide(now);
    }

    private bool IsIncluded(MemberRow row) => row.State is "alive" or "suspect" || (row.State == "dead" && !_plan.IgnoreDead);

    private bool IsUpToDate(MemberRow row) => row.Revision == _plan.Revision && row.State != "dead";

    /// <summary>Advances a step after its replica's row may have changed.</summary>
    private void Follow(RolloutStep step, TimeSpan now)
    {
        switch (step.Stage)
        {
            case RolloutStage.Draining when step.Row.Generation != step.Generation:
                // The replica restarted by itself: it is no longer drained, and may already be at the target revision.
                if (IsBack(step.Row))
                    Probe(step, now);
                break;
            case RolloutStage.Rejoining:
                Rejoin(step, now);
                break;
            case RolloutStage.Probing or RolloutStage.WatchingErrors when step.Row.Generation != step.Generation:
                Fail(step, "it did not stay up: it restarted", now);
                break;
            case RolloutStage.Probing or RolloutStage.WatchingErrors when step.Row.State is "dead" or "left":
                Fail(step, $"it did not stay up: it is {step.Row.State}", now);
                break;
        }
    }

    private void Rejoin(RolloutStep step, TimeSpan now)
    {
        var row = step.Row;
        var isNew = row.Generation > step.Generation && row.State == "alive";
        var isWrong = isNew && row.Revision != _plan.Revision;
        step.WrongSince = isWrong ? step.WrongSince ?? now : null;
        if (isNew && IsBack(row))
        {
            Probe(step, now);
            return;
        }
        step.Detail = isWrong ? $"back, but at revision '{row.Revision}'" : isNew ? "back, but draining" : "not back yet";
        if (now - step.WrongSince >= ProblemTimeout)
            Fail(step, $"it came back at revision '{row.Revision}', not '{_plan.Revision}'", now);
        else if (now - step.Since >= _plan.Timeout)
            Fail(step, FormattableString.Invariant($"it was not back within {_plan.Timeout.TotalSeconds:0.#} s: {step.Detail}"), now);
    }

    private bool IsBack(MemberRow row) => MinAvailable.IsReady(row) && row.Revision == _plan.Revision;

    private void Probe(RolloutStep step, TimeSpan now)
    {
        step.Generation = step.Row.Generation;
        step.Go(RolloutStage.Probing, now);
        _orders.Add((RolloutOrder.Probe, step.Name));
    }

    private void Restart(RolloutStep step, TimeSpan now)
    {
        step.Generation = step.Row.Generation;
        step.Go(RolloutStage.Restarting, now);
        _orders.Add((RolloutOrder.Restart, step.Name));
    }

    private void Fail(RolloutStep step, string why, TimeSpan now)
    {
        Stop($"{step.Name}: {why}");
        step.Go(_plan.RollsBack ? RolloutStage.RollingBack : RolloutStage.Failed, now, why);
        if (_plan.RollsBack)
            _orders.Add((RolloutOrder.RollBack, step.Name));
    }

    /// <summary>Returns a step that has not restarted its replica to waiting.</summary>
    private void Cancel(RolloutStep step, string why, TimeSpan now)
    {
        step.Go(RolloutStage.Waiting, now, why);
        if (step.Row.State is "alive" or "suspect")
            _orders.Add((RolloutOrder.Undrain, step.Name));
    }

    /// <summary>Records the first reason only; later ones follow from it.</summary>
    private void Stop(string why) => StopReason ??= why;

    private (RolloutOrder Order, string Name)[] Decide(TimeSpan now)
    {
        foreach (var step in _steps.Where(step => step.Stage == RolloutStage.Draining))
        {
            if (StopReason is null && step.WasReady && _minAvailable.Breach(step.Models, SuspectAsAlive()) is { } breach)
                Stop($"another replica was lost while {step.Name} drained: {breach}");
            if (StopReason is { } reason)
                Cancel(step, $"cancelled: {reason}", now);
        }
        if (StopReason is null)
            Begin(now);
        (RolloutOrder Order, string Name)[] orders = [.. _orders];
        _orders.Clear();
        return orders;
    }

    /// <summary>Begins as many replicas as may be unavailable. Replicas that are not ready come first: they cost no capacity.</summary>
    private void Begin(TimeSpan now)
    {
        string? blocked = null;
        var waiting = _steps.Where(step => step.IsWaiting);
        foreach (var step in waiting.OrderBy(step => MinAvailable.IsReady(step.Row)).ThenBy(step => step.Name, StringComparer.Ordinal))
        {
            if (_steps.Count(other => other.IsActive) >= _plan.MaxUnavailable)
                break;
            if (MinAvailable.IsReady(step.Row) && _minAvailable.Breach(step.Models, ActiveAsDraining(), step.Name) is { } breach)
            {
                blocked ??= breach;
                step.Detail = breach;
                continue;
            }
            step.WasReady = MinAvailable.IsReady(step.Row);
            if (step.Row.State is "alive" or "suspect")
            {
                step.Generation = step.Row.Generation;
                step.Go(RolloutStage.Draining, now);
                _orders.Add((RolloutOrder.Drain, step.Name));
            }
            else
            {
                Restart(step, now);
            }
        }
        if (blocked is null || _steps.Exists(step => step.IsActive))
        {
            _blockedSince = null;
            return;
        }
        _blockedSince ??= now;
        if (now - _blockedSince >= ProblemTimeout)
            Stop($"too few replicas would be available: {blocked}");
    }

    /// <summary>The members, where replicas with a drain or restart in progress count as draining even if the group has not learned of it yet.</summary>
    private List<MemberRow> ActiveAsDraining() => [.. _rows.Select(row =>
        _steps.Exists(step => step.Stage is RolloutStage.Draining or RolloutStage.Restarting && step.Name == row.Name) ? row with { Draining = true } : row)];

    /// <summary>The members, where suspects count as alive: most suspicions are refuted.</summary>
    private List<MemberRow> SuspectAsAlive() => [.. _rows.Select(row => row.State == "suspect" ? row with { State = "alive" } : row)];
}
