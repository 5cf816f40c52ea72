namespace Skein.Operations.Rollout;

/// <summary>Result of a rolling update, as <c>--json</c> prints it.</summary>
/// <param name="Outcome"><c>done</c> or <c>stopped</c>.</param>
/// <param name="Reason">Why the update stopped; null when done.</param>
public sealed record RolloutReport(string Revision, string Outcome, string? Reason, double Seconds, IReadOnlyList<ReplicaReport> Replicas)
{
    public static RolloutReport Of(RolloutCore core, RolloutPlan plan, TimeSpan took) => new(
        plan.Revision,
        core.IsDone ? "done" : "stopped",
        core.IsDone ? null : core.StopReason,
        Math.Round(took.TotalSeconds, 3),
        [.. core.Steps.Select(ReplicaReport.Of)]);
}

/// <summary>Result of one replica.</summary>
/// <param name="Outcome"><c>updated</c>, <c>skipped</c> (at the revision before), <c>waiting</c> (not begun), <c>failed</c> or <c>rolled_back</c>.</param>
/// <param name="From">Revision before the update.</param>
/// <param name="Seconds">Time from the start of the drain to the last check; 0 if the update of this replica did not begin.</param>
/// <param name="Detail">Why the update failed or was cancelled; null if there is nothing to say.</param>
public sealed record ReplicaReport(string Name, RolloutStage Outcome, string From, double Seconds, string? Detail)
{
    internal static ReplicaReport Of(RolloutStep step)
    {
        var took = (step.Ended ?? step.Began) - step.Began ?? TimeSpan.Zero;
        return new(step.Name, step.Stage, step.From, Math.Round(took.TotalSeconds, 3), step.Detail.Length > 0 ? step.Detail : null);
    }
}
