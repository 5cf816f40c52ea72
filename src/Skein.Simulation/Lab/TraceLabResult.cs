namespace Skein.Simulation.Lab;

/// <summary>What one policy reached. Times are virtual. Immutable.</summary>
public sealed record PolicyFigures
{
    public required string Policy { get; init; }

    public required int Requests { get; init; }

    public required int Completed { get; init; }

    /// <summary>Requests that no replica began.</summary>
    public required int Refused { get; init; }

    /// <summary>Requests that failed after a replica began them.</summary>
    public required int Lost { get; init; }

    public required double TtftP50Ms { get; init; }

    public required double TtftP99Ms { get; init; }

    public required double ItlP50Ms { get; init; }

    public required double ItlP99Ms { get; init; }

    /// <summary>Mean time per token after the first one, of each answer with at least two.</summary>
    public required double TpotP50Ms { get; init; }

    public required double TpotP99Ms { get; init; }

    /// <summary>Mean time from arrival to the end, relative to the same request alone on the fastest replica with an empty cache.</summary>
    public required double SlowdownMean { get; init; }

    public required double SlowdownP99 { get; init; }

    /// <summary>Share of all requests that completed within both SLOs. Refused requests are misses.</summary>
    public required double Goodput { get; init; }

    /// <summary>Prompt and answer tokens that were computed, per second.</summary>
    public required double TokensPerSecond { get; init; }

    /// <summary>Share of the prompts' tokens that were in the prefix cache.</summary>
    public required double PrefixHitRatio { get; init; }

    /// <summary>Jain's fairness index of the computed tokens by weight: 1 is even.</summary>
    public required double Jain { get; init; }

    /// <summary>
    /// Requests of the busiest replica within any 60 s, relative to the larger of 1.25 times its share and its share and four: at most 1 is good. Null: the
    /// trace is shorter than 60 s.
    /// </summary>
    public required double? HotSpotRequests { get; init; }

    /// <summary>The same for the tokens of these requests that had to be computed.</summary>
    public required double? HotSpotWork { get; init; }

    public required double QueueP50Ms { get; init; }

    public required double QueueP99Ms { get; init; }

    /// <summary>Attempts that a replica refused because another gateway had taken its last slot.</summary>
    public required int SlotRefusals { get; init; }
}

/// <summary>The policies side by side. Immutable.</summary>
/// <param name="Requests">Of the trace.</param>
/// <param name="TraceSeconds">Its length, after scaling.</param>
/// <param name="DistinctBlocks">Distinct prompt blocks in it.</param>
/// <param name="SaturatedTokensPerSecond">Prompt and answer tokens per second with all slots in use and no prefix cache; 0 if it was not needed.</param>
public sealed record TraceLabResult(
    int Requests, double TraceSeconds, int DistinctBlocks, double SaturatedTokensPerSecond, ulong Seed, IReadOnlyList<PolicyFigures> Policies)
{
    private static readonly (string Head, Func<PolicyFigures, FormattableString> Value)[] Rows =
    [
        ("completed", figures => $"{figures.Completed}"),
        ("refused", figures => $"{figures.Refused}"),
        ("lost", figures => $"{figures.Lost}"),
        ("TTFT p50, ms", figures => $"{figures.TtftP50Ms:0}"),
        ("TTFT p99, ms", figures => $"{figures.TtftP99Ms:0}"),
        ("ITL p50, ms", figures => $"{figures.ItlP50Ms:0.0}"),
        ("ITL p99, ms", figures => $"{figures.ItlP99Ms:0.0}"),
        ("time per token p50, ms", figures => $"{figures.TpotP50Ms:0.0}"),
        ("time per token p99, ms", figures => $"{figures.TpotP99Ms:0.0}"),
        ("slowdown mean", figures => $"{figures.SlowdownMean:0.00}"),
        ("slowdown p99", figures => $"{figures.SlowdownP99:0.00}"),
        ("goodput", figures => $"{figures.Goodput:0.0%}"),
        ("tokens/s", figures => $"{figures.TokensPerSecond:0}"),
        ("prefix hits", figures => $"{figures.PrefixHitRatio:0.0%}"),
        ("Jain index", figures => $"{figures.Jain:0.000}"),
        ("hot spot, requests", figures => OrNone(figures.HotSpotRequests)),
        ("hot spot, tokens", figures => OrNone(figures.HotSpotWork)),
        ("queue p50, ms", figures => $"{figures.QueueP50Ms:0}"),
        ("queue p99, ms", figures => $"{figures.QueueP99Ms:0}"),
        ("slot refusals", figures => $"{figures.SlotRefusals}"),
    ];

    private static FormattableString OrNone(double? ratio) => ratio is null ? (FormattableString)$"n/a" : $"{ratio:0.00}";

    public SimulationTable ToTable()
    {
        var saturated = SaturatedTokensPerSecond > 0 ? $", {SaturatedTokensPerSecond:0} tokens/s saturated" : "";
        var title = string.Create(
            CultureInfo.InvariantCulture,
            $"{Requests} requests in {TraceSeconds:0} s, {DistinctBlocks} distinct prompt blocks{saturated}, seed {Seed}");
        return new SimulationTable(
            title, ["", .. Policies.Select(figures => figures.Policy)],
            [.. Rows.Select(row => (IReadOnlyList<string>)[row.Head, .. Policies.Select(figures => FormattableString.Invariant(row.Value(figures)))])]);
    }
}
