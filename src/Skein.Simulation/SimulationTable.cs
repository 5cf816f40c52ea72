using System.Text;

namespace Skein.Simulation;

/// <summary>What a scenario found out, ready to print. Immutable.</summary>
/// <param name="Title">What was simulated, with the command that repeats it.</param>
/// <param name="Columns">Heads of the columns.</param>
/// <param name="Rows">One text for each column.</param>
public sealed record SimulationTable(string Title, IReadOnlyList<string> Columns, IReadOnlyList<IReadOnlyList<string>> Rows)
{
    /// <summary>The table in plain text, which is valid Markdown too.</summary>
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

    private static void AppendRow(StringBuilder text, IReadOnlyList<string> cells, int[] widths)
    {
        text.Append('|');
        for (var i = 0; i < cells.Count; i++)
            text.Append(' ').Append(cells[i].PadRight(widths[i])).Append(" |");
        text.Append('\n');
    }
}
