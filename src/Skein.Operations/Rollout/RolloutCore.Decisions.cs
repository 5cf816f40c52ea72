using Skein.Gateway.Admin;

namespace Skein.Operations.Rollout;

/// <summary>The decisions behind the events.</summary>
public sealed partial class RolloutCore
{
    /// <summary>An event that comes too late for its stage changes nothing.</summary>
    private (RolloutOrder Order, string Name)[] On(string name, RolloutStage stage, TimeSpan now, Action<RolloutStep> act)
    {
        if (_steps.Find(step => step.Name == name) is { } found && found.Stage == stage)
            act(found);
        return Decide(now);
    }

    /// <summary>What the group's view of a replica means to its step.</summary>
    private void Follow(RolloutStep step, TimeSpan now)
    {
        switch (step.Stage)
        {
            case RolloutStage.Draining when step.Row.Generation != step.Generation:
                // It has started anew by itself: drained it is not, and perhaps it is there already.
                if (IsBack(step.Row))
                    Probe(step, now);
                break;
            case RolloutStage.Rejoining:
                Rejoin(step, now);
                break;
            case RolloutStage.Probing or RolloutStage.Calming when step.Row.Generation != step.Generation || step.Row.State is "dead" or "left":
                Fail(step, $"it did not stay: {(step.Row.Generation != step.Generation ? "it has started anew" : $"it is {step.Row.State}")}", now);
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
        if (now - step.WrongSince >= Patience)
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

    /// <summary>Only a replica that still is what it was can be left alone.</summary>
    private void CallOff(RolloutStep step, string why, TimeSpan now)
    {
        step.Go(RolloutStage.Waiting, now, why);
        if (step.Row.State is "alive" or "suspect")
            _orders.Add((RolloutOrder.Undrain, step.Name));
    }

    /// <summary>The first reason is the one that counts.</summary>
    private void Stop(string why) => StopReason ??= why;

    private (RolloutOrder Order, string Name)[] Decide(TimeSpan now)
    {
        foreach (var step in _steps.Where(step => step.Stage == RolloutStage.Draining))
        {
            if (StopReason is null && step.WasReady && _minAvailable.Breach(step.Models, Lenient(_rows)) is { } breach)
                Stop($"another replica was lost while {step.Name} drained: {breach}");
            if (StopReason is { } reason)
                CallOff(step, $"called off: {reason}", now);
        }
        if (StopReason is null)
            Begin(now);
        (RolloutOrder Order, string Name)[] orders = [.. _orders];
        _orders.Clear();
        return orders;
    }

    /// <summary>Begins as many as may be away; those that are away already first, for they cost nothing.</summary>
    private void Begin(TimeSpan now)
    {
        string? blocked = null;
        foreach (var step in _steps.Where(step => step.IsWaiting).OrderBy(step => MinAvailable.IsReady(step.Row)).ThenBy(step => step.Name, StringComparer.Ordinal))
        {
            if (_steps.Count(other => other.IsActive) >= _plan.MaxUnavailable)
                break;
            if (MinAvailable.IsReady(step.Row) && _minAvailable.Breach(step.Models, WithoutActive(), step.Name) is { } breach)
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
        if (now - _blockedSince >= Patience)
            Stop($"the fleet would fall below its floor: {blocked}");
    }

    /// <summary>A replica whose drain was ordered but not yet heard of is away all the same.</summary>
    private List<MemberRow> WithoutActive() =>
        [.. _rows.Select(row => _steps.Exists(step => step.Stage is RolloutStage.Draining or RolloutStage.Restarting && step.Name == row.Name) ? row with { Draining = true } : row)];

    /// <summary>Being suspected is not being lost: most of the suspected come back.</summary>
    private static List<MemberRow> Lenient(IReadOnlyList<MemberRow> rows) => [.. rows.Select(row => row.State == "suspect" ? row with { State = "alive" } : row)];
}
