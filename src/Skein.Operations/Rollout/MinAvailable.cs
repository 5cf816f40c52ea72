using Skein.Gateway.Admin;
using Skein.Protocol;

namespace Skein.Operations.Rollout;

/// <summary>How many ready replicas each model must keep: those it had, dead ones included, less those that may be away. Immutable.</summary>
internal sealed class MinAvailable
{
    private readonly Dictionary<string, int> _least = new(StringComparer.Ordinal);

    public MinAvailable(IEnumerable<MemberRow> replicas, int maxUnavailable)
    {
        foreach (var model in replicas.SelectMany(replica => replica.Models.Distinct(StringComparer.Ordinal)))
            _least[model] = _least.GetValueOrDefault(model) + 1;
        foreach (var model in _least.Keys)
            _least[model] = Math.Max(0, _least[model] - maxUnavailable);
    }

    /// <summary>Takes new work, as far as the group knows.</summary>
    public static bool IsReady(MemberRow row) => row is { Role: Roles.Replica, State: "alive", Draining: false };

    /// <summary>A model that would have too few ready replicas without those named, in words; null: none.</summary>
    /// <param name="models">Models to look at.</param>
    /// <param name="rows">All members.</param>
    /// <param name="without">Replicas that are about to be away; empty: as it is.</param>
    public string? Breach(IEnumerable<string> models, IReadOnlyList<MemberRow> rows, string without = "")
    {
        foreach (var model in models)
        {
            List<MemberRow> serving = [.. rows.Where(row => row.Role == Roles.Replica && row.State != "left" && row.Models.Contains(model))];
            var ready = serving.Count(row => IsReady(row) && row.Name != without);
            var least = _least.GetValueOrDefault(model);
            if (ready >= least)
                continue;
            var away = string.Join(", ", serving.Where(row => !IsReady(row)).Select(row => $"{row.Name} is {(row.State == "alive" ? "draining" : row.State)}"));
            return $"{model} would have {ready} ready replicas, the floor is {least}{(away.Length > 0 ? $" ({away})" : "")}";
        }
        return null;
    }
}
