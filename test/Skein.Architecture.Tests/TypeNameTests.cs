using System.Text.RegularExpressions;

namespace Skein.Architecture.Tests;

/// <summary>A type name means one thing in all of src.</summary>
public sealed partial class TypeNameTests
{
    private static readonly string[] Keywords = ["class ", "interface ", "struct ", "enum ", "record ", "delegate "];

    /// <summary>The nested <c>Log</c> classes are the exception; the parts of a partial type count once; arity is part of the name.</summary>
    [Fact]
    public void EveryTypeName_IsDeclaredOnce()
    {
        var declarations = from file in SourceTree.CodeIn("src")
                           from line in File.ReadLines(file).Index()
                           where Keywords.Any(keyword => line.Item.Contains(keyword, StringComparison.Ordinal))
                           let match = TypePattern().Match(line.Item)
                           where match.Success
                           let arity = match.Groups["arity"].Value.Split(',', StringSplitOptions.RemoveEmptyEntries).Length
                           let name = $"{match.Groups["name"].Value}`{arity}"
                           where name != "Log`0"
                           let path = SourceTree.Relative(file)
                           let place = match.Groups["partial"].Success ? Path.GetDirectoryName(path)! : $"{path}:{line.Index + 1}"
                           group place by name into places
                           let distinct = places.Distinct(StringComparer.Ordinal).ToList()
                           where distinct.Count > 1
                           select $"{places.Key}: {string.Join(", ", distinct)}";
        SourceTree.AssertNone(declarations);
    }

    [GeneratedRegex(
        @"^ *((public|internal|private|protected|sealed|static|abstract|readonly|ref|unsafe|file|new|(?<partial>partial)) )*(class|interface|struct|enum|record( struct| class)?|delegate [\w<>\[\],.? ]+?) (?<name>[A-Z]\w*)(<(?<arity>[^>]*)>)?",
        RegexOptions.ExplicitCapture,
        10_000)]
    private static partial Regex TypePattern();
}
