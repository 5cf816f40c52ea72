using System.Text;

namespace Skein.Simulation;

/// <summary>The result of a scenario. Immutable.</summary>
/// <param name="Title">A summary and the command that repeats the simulation.</param>
/// <param name="Rows">One text for each column of each row.</param>
public sealed record SimulationTable(string Title, IReadOnlyList<string> Columns, IReadOnlyList<IReadOnlyList<string>> Rows)
{
    /// <summary>The table as text, which is also valid Markdown.</summary>
    public string Render()
    {
        int[] widths = [.. Columns.Select((head, column) => Rows.Select(row => row[column].Length).Append(head.Length).Max())];
        var text = new StringBuilder(Title).Append("\n\n");
        AppendRow(text, Columns, widths);
        AppendRow(text, [.. widths.Select(width => new string('-', width))], widths);
        foreach (var row in Rows)
            AppendRow(text, row, widths);
        return text.ToString();
    }

    private static void AppendRow(StringBuilder text, IReadOnlyList<string> cells, int[] widths) =>
        text.Append("| ").AppendJoin(" | ", cells.Select((cell, i) => cell.PadRight(widths[i]))).Append(" |\n");
}
