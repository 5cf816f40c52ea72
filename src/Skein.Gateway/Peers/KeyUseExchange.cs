using Skein.Gateway.Keys;

namespace Skein.Gateway.Peers;

/// <summary>
/// Keeps the limits of API keys for all gateways together: each gateway counts what it admits, reads the counts of the others once a second, and until then
/// uses its share of what was left only. Reads no clock and no socket. Not thread-safe, but for <see cref="Report"/>.
/// </summary>
/// <param name="instance">Distinguishes this process from others, and from those that had its name before.</param>
internal sealed class KeyUseExchange(ApiKeyStore keys, ulong instance)
{
    /// <summary>Reports of gateways at the last exchange, by name.</summary>
    private Dictionary<string, Known> _known = new(StringComparer.Ordinal);

    /// <summary>What other gateways are told.</summary>
    public KeyUseReport Report() => new() { Instance = instance, Keys = { keys.Report().Take(ApiKeyRing.MaxKeys) } };

    /// <summary>Takes in the answers of one round.</summary>
    /// <param name="self">Name of this gateway.</param>
    /// <param name="reports">Of every other live gateway, by its name; null: it did not answer. A gateway that is not there has lost its share.</param>
    public void Use(string self, IReadOnlyDictionary<string, KeyUseReport?> reports)
    {
        var elsewhere = new Dictionary<string, KeyUseElsewhere>(StringComparer.Ordinal);
        var known = new Dictionary<string, Known>(StringComparer.Ordinal);
        var rows = new Dictionary<string, Dictionary<string, KeyUseRow>>(StringComparer.Ordinal);
        foreach (var (name, report) in reports)
        {
            var before = _known.GetValueOrDefault(name);
            if (report is null)
            {
                // Its requests still run, and it may answer again.
                if (before is not null)
                    known[name] = before.Fade();
            }
            else
            {
                known[name] = Known.Of(report);
            }
            if (!known.TryGetValue(name, out var now))
                continue;
            foreach (var row in now.Rows.Values)
            {
                if (!rows.TryGetValue(row.Name, out var byGateway))
                    rows[row.Name] = byGateway = new Dictionary<string, KeyUseRow>(StringComparer.Ordinal);
                byGateway[name] = row;
                var sum = elsewhere.TryGetValue(row.Name, out var found) ? found : new KeyUseElsewhere(1 + reports.Count, Rows: byGateway);
                elsewhere[row.Name] = Add(sum, row, before?.Instance == now.Instance ? before : null);
            }
        }
        _known = known;
        keys.Exchange(GatewayNames.Of(self, reports.Keys), elsewhere);
    }

    private static KeyUseElsewhere Add(KeyUseElsewhere sum, KeyUseRow row, Known? before)
    {
        sum = sum with
        {
            Running = sum.Running + Math.Min(row.Running, int.MaxValue), Demand = sum.Demand + (double.IsFinite(row.Demand) ? Math.Max(0, row.Demand) : 0),
        };
        if (before is null)
        {
            return sum with
            {
                RequestsLeft = Lower(sum.RequestsLeft, row.HasRequestsLeft, row.RequestsLeft),
                TokensLeft = Lower(sum.TokensLeft, row.HasTokensLeft, row.TokensLeft),
                DayTokensLeft = Lower(sum.DayTokensLeft, row.HasDayTokensLeft, row.DayTokensLeft),
            };
        }
        var last = before.Rows.GetValueOrDefault(row.Name) ?? new KeyUseRow();
        // Counts that fell are those of a key that was removed and added again.
        return row.Requests < last.Requests ? sum
            : sum with { Requests = sum.Requests + (row.Requests - last.Requests), Tokens = sum.Tokens + ((double)row.Tokens - last.Tokens) };
    }

    private static double Lower(double least, bool isThere, double level) => isThere && double.IsFinite(level) ? Math.Min(least, level) : least;

    private sealed record Known(ulong Instance, IReadOnlyDictionary<string, KeyUseRow> Rows)
    {
        public static Known Of(KeyUseReport report) => new(
            report.Instance, report.Keys.Take(ApiKeyRing.MaxKeys).DistinctBy(row => row.Name, StringComparer.Ordinal)
                .ToDictionary(row => row.Name, StringComparer.Ordinal));

        public Known Fade() => new(
            Instance, Rows.ToDictionary(row => row.Key, row => new KeyUseRow(row.Value) { Demand = row.Value.Demand / 2 }, StringComparer.Ordinal));
    }
}
