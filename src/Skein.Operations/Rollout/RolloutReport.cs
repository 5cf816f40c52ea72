using System.Text.Json;
using System.Text.Json.Serialization;

namespace Skein.Operations.Rollout;

/// <summary>How a rolling update ended, as <c>--json</c> prints it.</summary>
/// <param name="Revision">Where all should be.</param>
/// <param name="Outcome"><c>done</c> or <c>stopped</c>.</param>
/// <param name="Reason">Why it was stopped; null when done.</param>
/// <param name="Seconds">How long it took.</param>
/// <param name="Replicas">One by one.</param>
public sealed record RolloutReport(string Revision, string Outcome, string? Reason, double Seconds, IReadOnlyList<ReplicaReport> Replicas)
{
    private static readonly JsonSerializerOptions Web = new(JsonSerializerDefaults.Web) { Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) } };

    public static RolloutReport Of(RolloutCore core, RolloutPlan plan, TimeSpan took) => new(
        plan.Revision,
        core.IsDone ? "done" : "stopped",
        core.IsDone ? null : core.StopReason,
        Math.Round(took.TotalSeconds, 3),
        [.. core.Steps.Select(step => new ReplicaReport(
            step.Name, step.Stage, step.From, Math.Round(((step.Ended ?? step.Began) - step.Began ?? TimeSpan.Zero).TotalSeconds, 3), step.Detail.Length > 0 ? step.Detail : null))]);

    public string ToJson() => JsonSerializer.Serialize(this, Web);
}

/// <param name="Name">Member name.</param>
/// <param name="Outcome"><c>updated</c>, <c>skipped</c> (was there before), <c>waiting</c> (not begun), <c>failed</c> or <c>rolled_back</c>.</param>
/// <param name="From">Revision at the beginning.</param>
/// <param name="Seconds">From the begin of its drain to its last gate; 0 where it was not begun.</param>
/// <param name="Detail">Why it failed or was called off; null where there is nothing to say.</param>
public sealed record ReplicaReport(string Name, RolloutStage Outcome, string From, double Seconds, string? Detail);
