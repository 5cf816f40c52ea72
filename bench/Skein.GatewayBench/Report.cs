using System.Globalization;
using System.Text.Json;

namespace Skein.GatewayBench;

/// <summary>The figures of one load: medians, and the quartiles of the ratios within the pairs.</summary>
internal sealed record LoadFigures(
    string Name,
    string Unit,
    double BeforeCpuMicroseconds,
    double AfterCpuMicroseconds,
    double Ratio,
    double RatioLowerQuartile,
    double RatioUpperQuartile,
    double BeforePerSecond,
    double AfterPerSecond,
    double BeforeFirstToken,
    double AfterFirstToken,
    double BeforeTransit,
    double AfterTransit,
    IReadOnlyList<MeasuredPair> Pairs)
{
    public static LoadFigures Of(Load load, IReadOnlyList<MeasuredPair> pairs)
    {
        double[] ratios = [.. pairs.Select(pair => pair.Ratio)];
        return new LoadFigures(
            load.Name,
            load.Unit,
            Quantile(pairs.Select(pair => pair.Before.CpuMicroseconds), 0.5),
            Quantile(pairs.Select(pair => pair.After.CpuMicroseconds), 0.5),
            Quantile(ratios, 0.5),
            Quantile(ratios, 0.25),
            Quantile(ratios, 0.75),
            Quantile(pairs.Select(pair => pair.Before.UnitsPerSecond), 0.5),
            Quantile(pairs.Select(pair => pair.After.UnitsPerSecond), 0.5),
            Quantile(pairs.Select(pair => pair.Before.FirstToken), 0.5),
            Quantile(pairs.Select(pair => pair.After.FirstToken), 0.5),
            Quantile(pairs.Select(pair => pair.Before.Transit), 0.5),
            Quantile(pairs.Select(pair => pair.After.Transit), 0.5),
            pairs);
    }

    /// <summary>Linear interpolation between the two nearest values.</summary>
    private static double Quantile(IEnumerable<double> values, double share)
    {
        double[] sorted = [.. values.Order()];
        var place = share * (sorted.Length - 1);
        var below = sorted[(int)place];
        var above = sorted[Math.Min((int)place + 1, sorted.Length - 1)];
        return below + ((above - below) * (place - (int)place));
    }
}

/// <summary>Writes the figures to standard output: a row as soon as a load is done, or one JSON document at the end.</summary>
internal abstract class Report
{
    public static Report Table() => new MarkdownReport();

    public static Report Json() => new JsonReport();

    public abstract void Begin(ComparisonOptions options);

    public abstract void Add(LoadFigures figures);

    public abstract void End();

    private sealed class MarkdownReport : Report
    {
        public override void Begin(ComparisonOptions options)
        {
            Console.WriteLine($"before: {options.Before}");
            Console.WriteLine($"after: {options.After}");
            Console.WriteLine(
                $"Medians of {options.Pairs} interleaved pairs of about {options.Length.TotalSeconds:0.#} s per load, "
                + $"in {options.Rounds} rounds of fresh processes; JIT {options.Jit.ToString().ToLowerInvariant()}; us = microseconds of gateway CPU time");
            Console.WriteLine();
            Console.WriteLine("| load | unit | before us | after us | after / before | quartiles | before units/s | after units/s "
                + "| first token p50 us | transit p99 us |");
            Console.WriteLine("|---|---|---|---|---|---|---|---|---|---|");
        }

        public override void End()
        {
        }

        public override void Add(LoadFigures figures) => Console.WriteLine(
            $"| {figures.Name} | {figures.Unit} | {figures.BeforeCpuMicroseconds:0.00} | {figures.AfterCpuMicroseconds:0.00} | {figures.Ratio:0.000} "
            + $"| {figures.RatioLowerQuartile:0.000} .. {figures.RatioUpperQuartile:0.000} | {figures.BeforePerSecond:0} | {figures.AfterPerSecond:0} "
            + $"| {Both(figures.BeforeFirstToken, figures.AfterFirstToken)} | {Both(figures.BeforeTransit, figures.AfterTransit)} |");

        private static string Both(double before, double after) =>
            before <= 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"{before:0} -> {after:0} ({after / before:0.00})");
    }

    private sealed class JsonReport : Report
    {
        private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { WriteIndented = true };

        private readonly List<LoadFigures> _loads = [];
        private ComparisonOptions _options = null!;

        public override void Begin(ComparisonOptions options) => _options = options;

        public override void End() => Console.WriteLine(JsonSerializer.Serialize(
            new
            {
                _options.Before,
                _options.After,
                _options.Pairs,
                _options.Rounds,
                Seconds = _options.Length.TotalSeconds,
                Jit = _options.Jit.ToString().ToLowerInvariant(),
                Loads = _loads,
            },
            Format));

        public override void Add(LoadFigures figures) => _loads.Add(figures);
    }
}
