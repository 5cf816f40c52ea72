using Skein.Load;
using Spectre.Console;

namespace Skein.Cli.Commands;

/// <summary>A table of figures and values, for the reports of <c>skein bench</c> and <c>skein chaos</c>.</summary>
internal sealed class FigureTable
{
    private readonly Table _table = new Table().Border(TableBorder.Simple).HideHeaders().AddColumns("figure", "value");

    public void Add(string figure, FormattableString value) =>
        _table.AddRow(Markup.Escape(figure), Markup.Escape(value.ToString(CultureInfo.InvariantCulture)));

    public void Add(string figure, LatencySummary ms) =>
        Add(figure, $"p50 {ms.P50:0.#} ms, p90 {ms.P90:0.#}, p99 {ms.P99:0.#}, max {ms.Max:0.#}");

    public void AddErrors(IReadOnlyDictionary<string, int> errors)
    {
        foreach ((var kind, var count) in errors)
            Add($"  {kind}", $"{count}");
    }

    public void AddExamples(IReadOnlyList<string> examples)
    {
        foreach (var example in examples)
            Add("  for example", $"{example}");
    }

    public void Print() => AnsiConsole.Write(_table);
}
