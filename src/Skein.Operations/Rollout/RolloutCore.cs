using Skein.Gateway.Admin;
using Skein.Protocol;

namespace Skein.Operations.Rollout;

/// <summary>
/// Decides a rolling update: what is seen goes in, orders come out. Pure and synchronous; time is an argument. It keeps nothing that a later
/// run would need: a replica at the revision is done, whoever brought it there.
/// </summary>
public sealed partial class RolloutCore
{
    /// <summary>How long the fleet may stay below the floor, or a replica be back at a wrong revision, before that is the end.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private readonly RolloutPlan _plan;
    private readonly MinAvailable _minAvailable;
    private readonly List<RolloutStep> _steps;
    private readonly List<(RolloutOrder Order, string Name)> _orders = [];
    private IReadOnlyList<MemberRow> _rows;
    private TimeSpan? _blockedSince;

    /// <param name="plan">What to do.</param>
    /// <param name="rows">The group at the beginning.</param>
    public RolloutCore(RolloutPlan plan, IReadOnlyList<MemberRow> rows)
    {
        _plan = plan;
        _rows = rows;
        List<MemberRow> replicas = [.. rows.Where(row => row.Role == Roles.Replica && (row.State is "alive" or "suspect" || (row.State == "dead" && !plan.IgnoreDead)))];
        _minAvailable = new MinAvailable(replicas, plan.MaxUnavailable);
        _steps = [.. replicas.Select(row => new RolloutStep(row, row.Revision == plan.Revision && row.State != "dead" ? RolloutStage.Skipped : RolloutStage.Waiting))];
    }

    public IReadOnlyList<RolloutStep> Steps => _steps;

    /// <summary>Why it began no more replicas; null: it was not stopped.</summary>
    public string? StopReason { get; private set; }

    /// <summary>Nothing is under way, and nothing will begin.</summary>
    public bool IsFinished => !_steps.Exists(step => step.IsActive) && (StopReason is not null || !_steps.Exists(step => step.IsWaiting));

    /// <summary>Every replica is at the revision.</summary>
    public bool IsDone => _steps.TrueForAll(step => step.Stage is RolloutStage.Updated or RolloutStage.Skipped);

    /// <summary>Whether the gateway's counters are wanted.</summary>
    public bool WantsCounters => _steps.Exists(step => step.Stage == RolloutStage.Calming);

    /// <summary>Takes in the group as it is now.</summary>
    public IReadOnlyList<(RolloutOrder Order, string Name)> See(IReadOnlyList<MemberRow> rows, TimeSpan now)
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

    /// <summary>What the drain of a replica waits for, for those who look on.</summary>
    public IReadOnlyList<(RolloutOrder Order, string Name)> Note(string name, string detail, TimeSpan now) =>
        On(name, RolloutStage.Draining, now, step => step.Detail = detail);

    /// <summary>The replica is idle.</summary>
    public IReadOnlyList<(RolloutOrder Order, string Name)> Drained(string name, TimeSpan now) => On(name, RolloutStage.Draining, now, step => Restart(step, now));

    /// <summary>It cannot be drained: it stays as it is, and nothing more begins.</summary>
    public IReadOnlyList<(RolloutOrder Order, string Name)> NotDrained(string name, string why, TimeSpan now) => On(name, RolloutStage.Draining, now, step =>
    {
        Stop($"{name} could not be drained: {why}");
        CallOff(step, why, now);
    });

    /// <summary>The command has ended well.</summary>
    public IReadOnlyList<(RolloutOrder Order, string Name)> Restarted(string name, TimeSpan now) => On(name, RolloutStage.Restarting, now, step =>
    {
        step.Go(RolloutStage.Rejoining, now, "not back yet");
        Follow(step, now);
    });

    /// <summary>The command failed.</summary>
    public IReadOnlyList<(RolloutOrder Order, string Name)> NotRestarted(string name, string why, TimeSpan now) => On(name, RolloutStage.Restarting, now, step =>
    {
        // The old life is still there, drained: it may as well work.
        if (!_plan.RollsBack && step.Row.State == "alive" && step.Row.Generation == step.Generation)
            _orders.Add((RolloutOrder.Undrain, name));
        Fail(step, why, now);
    });

    /// <summary>It answered all canaries.</summary>
    public IReadOnlyList<(RolloutOrder Order, string Name)> Probed(string name, TimeSpan now) => On(name, RolloutStage.Probing, now, step =>
    {
        if (_plan.Calm == TimeSpan.Zero)
        {
            step.Go(RolloutStage.Updated, now);
            return;
        }
        step.Errors = new ErrorRateGate(_plan.Calm, _plan.MaxErrorRate, now);
        step.Go(RolloutStage.Calming, now);
    });

    /// <summary>A canary was not answered.</summary>
    public IReadOnlyList<(RolloutOrder Order, string Name)> NotProbed(string name, string why, TimeSpan now) =>
        On(name, RolloutStage.Probing, now, step => Fail(step, $"a canary failed: {why}", now));

    /// <summary>Takes in the gateway's counters, about once a second while they are wanted.</summary>
    public IReadOnlyList<(RolloutOrder Order, string Name)> Count(CounterRow counters, TimeSpan now)
    {
        foreach (var step in _steps.Where(step => step.Stage == RolloutStage.Calming))
        {
            var calm = step.Errors!.Count(counters, now);
            var burst = step.Errors.Burst.Length > 0 ? $"; last burst: {step.Errors.Burst}" : "";
            step.Detail = FormattableString.Invariant($"calm for {Math.Ceiling(step.Errors.Left(now).TotalSeconds):0} s more{burst}");
            if (calm == Calm.Reached)
                step.Go(RolloutStage.Updated, now);
            else if (calm == Calm.Missed)
                Fail(step, $"the error rate did not calm down: {step.Errors.Burst}", now);
        }
        return Decide(now);
    }

    /// <summary>The way back was taken, or not.</summary>
    /// <param name="name">The replica.</param>
    /// <param name="problem">Why not; null: it was.</param>
    /// <param name="now">Time.</param>
    public IReadOnlyList<(RolloutOrder Order, string Name)> RolledBack(string name, string? problem, TimeSpan now) => On(name, RolloutStage.RollingBack, now, step =>
        step.Go(problem is null ? RolloutStage.RolledBack : RolloutStage.Failed, now, problem is null ? step.Detail : $"{step.Detail}; the rollback failed: {problem}"));

    /// <summary>Begins no more replicas. What is drained but not restarted goes back to work; the others are seen through.</summary>
    public IReadOnlyList<(RolloutOrder Order, string Name)> StopNow(string why, TimeSpan now)
    {
        Stop(why);
        return Decide(now);
    }
}
