using System.Text.RegularExpressions;

namespace Skein.Architecture.Tests;

/// <summary>A type name means one thing in all of src.</summary>
public sealed partial class TypeNameTests
{
    /// <summary>The nested <c>Log</c> classes are the exception; the parts of a partial type count once; arity is part of the name.</summary>
    [Fact]
    public void EveryTypeName_IsDeclaredOnce()
    {
        var declarations = from file in SourceTree.CodeIn("src")
                           from Match match in TypePattern().Matches(File.ReadAllText(file))
                           let name = $"{match.Groups["name"].Value}`{match.Groups["arity"].Value.Split(',', StringSplitOptions.RemoveEmptyEntries).Length}"
                           where name != "Log`0"
                           let place = match.Groups["partial"].Success ? Path.GetDirectoryName(SourceTree.Relative(file))! : $"{SourceTree.Relative(file)}:{match.Index}"
                           group place by name into places
                           where places.Distinct(StringComparer.Ordinal).Count() > 1
                           select $"{places.Key}: {string.Join(", ", places.Distinct(StringComparer.Ordinal))}";
        Assert.Empty(declarations);
    }

    [GeneratedRegex(
        @"^ *((public|internal|private|protected|sealed|static|abstract|readonly|ref|unsafe|file|new|(?<partial>partial)) )*(class|interface|struct|enum|record( struct| class)?|delegate [\w<>\[\],.? ]+?) (?<name>[A-Z]\w*)(<(?<arity>[^>]*)>)?",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture,
        10_000)]
    private static partial Regex TypePattern();
}
