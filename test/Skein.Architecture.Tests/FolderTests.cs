using System.Text.RegularExpressions;

namespace Skein.Architecture.Tests;

/// <summary>Folders of a project depend on each other in one direction only, and namespaces follow folders.</summary>
public sealed partial class FolderTests
{
    public static TheoryData<string> ProjectNames => [.. SourceTree.Projects("src").Select(project => Path.GetFileNameWithoutExtension(project)!)];

    /// <summary>In each folder, no sub-folder uses a sibling that uses it in turn, directly or through others.</summary>
    [Theory]
    [MemberData(nameof(ProjectNames))]
    public void Folders_HaveNoCycle(string project)
    {
        var uses = new SortedDictionary<string, SortedSet<string>>(StringComparer.Ordinal);
        foreach ((var from, var to) in UsesIn(project))
        {
            if (!uses.TryGetValue(from, out var targets))
                uses[from] = targets = new SortedSet<string>(StringComparer.Ordinal);
            targets.Add(to);
        }

        SourceTree.AssertNone(uses.Keys.Where(folder => Reachable(folder, uses).Contains(folder)).Select(folder => $"{folder} -> {string.Join(", ", uses[folder])}"));
    }

    /// <summary>Each folder of Routing uses only those before it.</summary>
    [Fact]
    public void RoutingFolders_UseOnlyThoseBefore()
    {
        string[] order = ["Health", "Fleet", "Balancing", "Admission", "Streaming"];
        var wrong = from use in UsesIn("Skein.Routing")
                    let user = Array.IndexOf(order, use.From["Skein.Routing.".Length..].Split('.')[0])
                    let used = Array.IndexOf(order, use.To["Skein.Routing.".Length..].Split('.')[0])
                    where user < 0 || used < 0 || used > user
                    select $"{use.From} -> {use.To}";
        SourceTree.AssertNone(wrong);
    }

    [Theory]
    [MemberData(nameof(ProjectNames))]
    public void Namespace_IsThatOfTheFolder(string project)
    {
        var wrong = from file in SourceTree.CodeIn($"src/{project}")
                    let declared = NamespacePattern().Match(File.ReadAllText(file))
                    where declared.Success && declared.Groups["name"].Value != FolderOf(file)
                    select $"{SourceTree.Relative(file)}: {declared.Groups["name"].Value}";
        SourceTree.AssertNone(wrong);
    }

    /// <summary>The folders that each file's using directives connect, cut back to where their paths part.</summary>
    private static IEnumerable<(string From, string To)> UsesIn(string project) =>
        from file in SourceTree.CodeIn($"src/{project}")
        from Match match in UsingPattern().Matches(File.ReadAllText(file))
        let target = match.Groups["name"].Value
        where target.StartsWith($"{project}.", StringComparison.Ordinal)
        let siblings = SiblingsOf(FolderOf(file).Split('.'), target.Split('.'))
        where siblings is not null
        select siblings.Value;

    private static (string From, string To)? SiblingsOf(string[] from, string[] to)
    {
        var common = from.Zip(to).TakeWhile(static pair => pair.First == pair.Second).Count();
        return common < from.Length && common < to.Length ? (string.Join('.', from.Take(common + 1)), string.Join('.', to.Take(common + 1))) : null;
    }

    private static string FolderOf(string file) => Path.GetDirectoryName(SourceTree.Relative(file))!["src/".Length..].Replace('/', '.').Replace('\\', '.');

    private static HashSet<string> Reachable(string start, SortedDictionary<string, SortedSet<string>> uses)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var open = new Stack<string>([start]);
        while (open.TryPop(out var folder))
        {
            foreach (var next in uses.TryGetValue(folder, out var targets) ? targets : [])
            {
                if (seen.Add(next))
                    open.Push(next);
            }
        }
        return seen;
    }

    [GeneratedRegex(@"^(global )?using (static )?(\w+ = )?(?<name>[\w.]+)", RegexOptions.Multiline | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex UsingPattern();

    [GeneratedRegex(@"^namespace (?<name>[\w.]+);", RegexOptions.Multiline | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex NamespacePattern();
}
