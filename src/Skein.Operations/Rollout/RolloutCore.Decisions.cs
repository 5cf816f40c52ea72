namespace Skein.Operations.Rollout;

/// <content>The decisions behind the events.</content>
public sealed partial class RolloutCore
{
    /// <summary>Applies an event. An event that arrives after its stage has ended is ignored.</summary>
    private (RolloutOrder Order, string Name)[] On(string name, RolloutStage stage, TimeSpan now, Action<RolloutStep> act)
    {
        if (_steps.Find(step => step.Name == name) is { } found && found.Stage == stage)
            act(found);
        return Decide(now);
    }

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
