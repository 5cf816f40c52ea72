using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Skein.Cli.Terminal;

/// <summary>
/// The library's help, with the options of a verb under titles and examples at the end. The library writes the options as one list; its lines are sorted into
/// groups here, so that their layout stays its own.
/// </summary>
/// <param name="standard">The library's help.</param>
/// <param name="groups">Titles, each with names of options such as <c>--http</c>. An option is in the first group that names it.</param>
/// <param name="examples">By path of the verb, such as <c>gateway</c> or <c>engines check</c>; empty for a bare <c>skein</c>.</param>
internal sealed class GroupedHelp(
    HelpAction standard, IReadOnlyList<(string Title, IReadOnlyList<string> Options)> groups, IReadOnlyDictionary<string, IReadOnlyList<string>> examples)
    : SynchronousCommandLineAction
{
    /// <summary>Columns where the output is no terminal.</summary>
    private const int PlainColumns = 100;

    /// <summary>A shorter list is read at a glance.</summary>
    private const int FewOptions = 25;

    private const string OptionsTitle = "Options:";
    private const string OptionIndent = "  -";

    /// <summary>Puts it in place of the help of a command line.</summary>
    public static void Install(
        RootCommand root, IReadOnlyList<(string Title, IReadOnlyList<string> Options)> groups, IReadOnlyDictionary<string, IReadOnlyList<string>> examples)
    {
        var option = root.Options.OfType<HelpOption>().Single();
        var standard = (HelpAction)option.Action!;
        if (Console.IsOutputRedirected)
            standard.MaxWidth = PlainColumns;
        option.Action = new GroupedHelp(standard, groups, examples);
    }

    public override int Invoke(ParseResult parseResult)
    {
        var output = parseResult.InvocationConfiguration.Output;
        using var text = new StringWriter();
        parseResult.InvocationConfiguration.Output = text;
        int code;
        try
        {
            code = standard.Invoke(parseResult);
        }
        finally
        {
            parseResult.InvocationConfiguration.Output = output;
        }
        var path = string.Join(' ', CommandLine.PathOf(parseResult).Split(' ').Skip(1));
        foreach (var line in WithGroups(text.ToString().TrimEnd().ReplaceLineEndings("\n").Split('\n')))
            output.WriteLine(line);
        if (examples.TryGetValue(path, out var lines))
        {
            output.WriteLine();
            output.WriteLine(lines.Count == 1 ? "Example:" : "Examples:");
            foreach (var line in lines)
                output.WriteLine($"  {line}");
        }
        return code;
    }

    private string[] WithGroups(string[] lines)
    {
        var title = Array.IndexOf(lines, OptionsTitle);
        if (title < 0)
            return lines;
        // An option's further lines are indented more.
        var entries = new List<List<string>>();
        var end = title + 1;
        for (; end < lines.Length && lines[end].Length > 0; end++)
        {
            if (lines[end].StartsWith(OptionIndent, StringComparison.Ordinal) || entries.Count == 0)
                entries.Add([]);
            entries[^1].Add(lines[end]);
        }
        if (entries.Count <= FewOptions)
            return lines;
        var sorted = new List<string>();
        var byTitle = entries.ToLookup(entry => groups.FirstOrDefault(group => group.Options.Contains(NameOf(entry[0]))).Title is { } group
            ? $"{group}:"
            : OptionsTitle);
        foreach (var shown in groups.Select(group => $"{group.Title}:").Prepend(OptionsTitle).Where(byTitle.Contains))
        {
            if (sorted.Count > 0)
                sorted.Add("");
            sorted.Add(shown);
            sorted.AddRange(byTitle[shown].SelectMany(entry => entry));
        }
        return [.. lines[..title], .. sorted, .. lines[end..]];
    }

    // The help option begins with its short names.
    private static string NameOf(string line) =>
        line.Split([' ', ','], StringSplitOptions.RemoveEmptyEntries).First(word => word.StartsWith('-'));
}
