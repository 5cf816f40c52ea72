using Skein.Load.Replay;
using Skein.Simulation;
using Skein.Simulation.Lab;
using Skein.Simulation.Traces;

namespace Skein.Cli.Commands;

/// <summary>One figure of the lab beside the measured one. Immutable.</summary>
internal sealed record ComparedFigure(string Name, double Lab, double Measured)
{
    /// <summary>How much the measured value differs from that of the lab; 0 if both are 0.</summary>
    public double Difference => Lab == Measured ? 0 : Lab == 0 ? 1 : (Measured / Lab) - 1;
}

/// <summary>A trace in the lab and on real processes, side by side. Immutable.</summary>
/// <param name="LateP99Ms">How late the client sent its requests: a large value means that this machine is too slow for the measurement.</param>
internal sealed record TraceComparison(
    string Policy, int Requests, int Completed, double LateP99Ms, IReadOnlyList<ComparedFigure> Figures, IReadOnlyDictionary<string, int> Errors)
{
    /// <summary>Largest difference that is allowed.</summary>
    public const double Allowed = 0.15;

    public bool Agrees => Completed == Requests && Figures.All(figure => Math.Abs(figure.Difference) <= Allowed);

    public static TraceComparison Of(
        PolicyFigures lab, IReadOnlyList<TraceRequest> trace, IReadOnlyList<ReplayedRequest> replayed, double gapP50Ms, TraceLabSettings settings)
    {
        var fastest = settings.Model with { Speed = settings.Speeds.Max() };
        var done = trace.Zip(replayed).Where(pair => pair.Second.Error is null).ToList();
        var ttft = Sorted(done.Select(pair => pair.Second.FirstToken.TotalMilliseconds));
        var perToken = Sorted(done.Where(pair => pair.First.AnswerTokens > 1)
            .Select(pair => (pair.Second.End - pair.Second.FirstToken).TotalMilliseconds / (pair.First.AnswerTokens - 1)));
        var slowdown = Sorted(done.Select(pair => pair.Second.End / fastest.Alone(pair.First.PromptTokens, pair.First.AnswerTokens)));
        ComparedFigure[] figures =
        [
            new("TTFT p50, ms", lab.TtftP50Ms, At(ttft, 50)),
            new("TTFT p99, ms", lab.TtftP99Ms, At(ttft, 99)),
            new("ITL p50, ms", lab.ItlP50Ms, gapP50Ms),
            new("time per token p50, ms", lab.TpotP50Ms, At(perToken, 50)),
            new("time per token p99, ms", lab.TpotP99Ms, At(perToken, 99)),
            new("slowdown mean", lab.SlowdownMean, slowdown.Length == 0 ? 0 : slowdown.Average()),
            new("slowdown p99", lab.SlowdownP99, At(slowdown, 99)),
        ];
        return new TraceComparison(
            lab.Policy, trace.Count, done.Count, At(Sorted(replayed.Select(request => request.LateBy.TotalMilliseconds)), 99), figures,
            replayed.Where(request => request.Error is not null).CountBy(request => request.Error!).ToDictionary());
    }

    public SimulationTable ToTable()
    {
        var errors = Errors.Count == 0 ? "" : $" ({string.Join(", ", Errors.Select(error => $"{error.Value} x {error.Key}"))})";
        var title = string.Create(
            CultureInfo.InvariantCulture, $"{Policy}: {Completed} of {Requests} requests completed{errors}; sent late by up to {LateP99Ms:0.0} ms (p99)");
        return new SimulationTable(
            title, ["", "lab", "processes", "difference"],
            [
                .. Figures.Select(figure => (IReadOnlyList<string>)
                    [
                        figure.Name, figure.Lab.ToString("0.00", CultureInfo.InvariantCulture), figure.Measured.ToString("0.00", CultureInfo.InvariantCulture),
                        figure.Difference.ToString("+0.0%;-0.0%;0.0%", CultureInfo.InvariantCulture),
                    ]),
            ]);
    }

    private static double[] Sorted(IEnumerable<double> values) => [.. values.Order()];

    private static double At(double[] sorted, double percentile) =>
        sorted.Length == 0 ? 0 : sorted[Math.Clamp((int)Math.Ceiling(sorted.Length * percentile / 100) - 1, 0, sorted.Length - 1)];
}
