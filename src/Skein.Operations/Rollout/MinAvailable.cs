using Skein.Protocol;

namespace Skein.Operations.Rollout;

/// <summary>Minimum number of ready replicas per model: its replicas at the start, dead ones included, minus <c>--max-unavailable</c>. Immutable.</summary>
internal sealed class MinAvailable(IEnumerable<MemberRow> replicas, int maxUnavailable)
{
    private readonly Dictionary<string, int> _minimum = replicas.SelectMany(replica => replica.Models.Distinct(StringComparer.Ordinal))
        .CountBy(model => model, StringComparer.Ordinal)
        .ToDictionary(model => model.Key, model => Math.Max(0, model.Value - maxUnavailable), StringComparer.Ordinal);

    /// <summary>True if the replica accepts new requests, as far as the group knows.</summary>
    public static bool IsReady(MemberRow row) => row is { Role: Roles.Replica, State: "alive", Draining: false };

    /// <summary>Describes the first model that would have too few ready replicas; null if there is none.</summary>
    /// <param name="without">Replica that is about to become unavailable; empty for none.</param>
    public string? Breach(IEnumerable<string> models, IReadOnlyList<MemberRow> rows, string without = "")
    {
        foreach (var model in models)
        {
            List<MemberRow> serving = [.. rows.Where(row => row.Role == Roles.Replica && row.State != "left" && row.Models.Contains(model))];
            var ready = serving.Count(row => IsReady(row) && row.Name != without);
            var minimum = _minimum.GetValueOrDefault(model);
            if (ready >= minimum)
                continue;
            var away = string.Join(
                ", ", serving.Where(row => !IsReady(row)).Select(row => $"{row.Name} is {(row.State == "alive" ? "draining" : row.State)}"));
            return $"{model} would have {ready} ready replicas, the minimum is {minimum}{(away.Length > 0 ? $" ({away})" : "")}";
        }
        return null;
    }
}
