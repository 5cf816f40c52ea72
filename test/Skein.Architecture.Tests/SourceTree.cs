using System.Runtime.CompilerServices;
using System.Xml.Linq;

namespace Skein.Architecture.Tests;

/// <summary>The repository's files.</summary>
internal static class SourceTree
{
    public static string Root { get; } = FindRoot();

    /// <summary>Project files under a folder of the repository.</summary>
    public static string[] Projects(string folder) => Directory.GetFiles(Path.Combine(Root, folder), "*.csproj", SearchOption.AllDirectories);

    /// <summary>Include attributes of a kind of item of a project file.</summary>
    public static IEnumerable<string> References(string project, string kind) =>
        XDocument.Load(project).Descendants(kind).Select(reference => reference.Attribute("Include")!.Value);

    /// <summary>C# files under a folder of the repository, without build output.</summary>
    public static string[] CodeIn(string folder) =>
    [
        .. Directory.GetFiles(Path.Combine(Root, folder), "*.cs", SearchOption.AllDirectories)
            .Where(file => !Relative(file).Split('/').Any(part => part is "obj" or "bin"))
            .Order(StringComparer.Ordinal),
    ];

    /// <summary>A file's path in the repository, with forward slashes.</summary>
    public static string Relative(string file) => Path.GetRelativePath(Root, file).Replace('\\', '/');

    /// <summary>Fails with every violation, one per line.</summary>
    public static void AssertNone(IEnumerable<string> violations)
    {
        string[] found = [.. violations];
        Assert.True(found.Length == 0, $"{found.Length} violations:\n{string.Join('\n', found)}");
    }

    private static string FindRoot([CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", ".."));
}
