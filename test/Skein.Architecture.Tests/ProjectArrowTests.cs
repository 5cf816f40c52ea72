using System.Runtime.CompilerServices;
using System.Xml.Linq;

namespace Skein.Architecture.Tests;

/// <summary>Holds the arrows between the rooms of AGENTS.md.</summary>
public sealed class ProjectArrowTests
{
    private static readonly Dictionary<string, string[]> MayKnow = new(StringComparer.Ordinal)
    {
        ["Skein.Protocol"] = [],
        ["Skein.Membership"] = ["Skein.Protocol"],
        ["Skein.Engines"] = ["Skein.Protocol"],
        ["Skein.Routing"] = ["Skein.Protocol"],
        ["Skein.Serving"] = ["Skein.Engines", "Skein.Membership", "Skein.Protocol"],
        ["Skein.Gateway"] = ["Skein.Membership", "Skein.Protocol", "Skein.Routing"],
        ["Skein.Simulation"] = ["Skein.Engines", "Skein.Membership", "Skein.Protocol", "Skein.Routing"],
        ["Skein.Load"] = ["Skein.Protocol"],
        ["Skein.Operations"] = ["Skein.Gateway", "Skein.Load", "Skein.Serving", "Skein.Simulation"],
        ["Skein.Cli"] = ["Skein.Gateway", "Skein.Load", "Skein.Operations", "Skein.Serving", "Skein.Simulation"],
    };

    private static readonly string[] Pure = ["Skein.Routing", "Skein.Membership"];

    [Fact]
    public void EveryProject_HasItsRule() =>
        Assert.Equal(MayKnow.Keys.Order(StringComparer.Ordinal), Projects("src").Select(Path.GetFileNameWithoutExtension).Order(StringComparer.Ordinal));

    [Fact]
    public void EveryReference_PointsAlongAnArrow()
    {
        var wrong = from project in Projects("src")
                    let name = Path.GetFileNameWithoutExtension(project)
                    from reference in References(project, "ProjectReference")
                    let target = Path.GetFileNameWithoutExtension(reference)
                    where !MayKnow[name].Contains(target)
                    select $"{name} -> {target}";
        Assert.Empty(wrong);
    }

    [Fact]
    public void PureRooms_TakeNoAspNet()
    {
        var wrong = from project in Projects("src")
                    where Pure.Contains(Path.GetFileNameWithoutExtension(project))
                    from reference in References(project, "FrameworkReference").Concat(References(project, "PackageReference"))
                    where reference.Contains("AspNetCore", StringComparison.Ordinal) || reference.StartsWith("Grpc.Net", StringComparison.Ordinal)
                    select $"{project} -> {reference}";
        Assert.Empty(wrong);
    }

    [Theory]
    [InlineData("src/Skein.Routing", "System.Net")]
    [InlineData("src/Skein.Membership/Core", "System.Net.Sockets")]
    public void PureFolders_NameNoSockets(string folder, string forbidden)
    {
        var files = Directory.GetFiles(Path.Combine(Root, folder), "*.cs", SearchOption.AllDirectories);
        Assert.NotEmpty(files);
        Assert.Empty(files.Where(file => File.ReadAllText(file).Contains($"using {forbidden}", StringComparison.Ordinal)).Select(file => Path.GetRelativePath(Root, file)));
    }

    /// <summary>Inside routing, each folder knows only those before it.</summary>
    [Fact]
    public void RoutingFolders_KnowOnlyThoseBelow()
    {
        string[] order = ["Fleet", "Balancing", "Admission", "Streaming"];
        var wrong = from index in Enumerable.Range(0, order.Length)
                    from file in Directory.GetFiles(Path.Combine(Root, "src/Skein.Routing", order[index]), "*.cs")
                    from above in order.Skip(index + 1)
                    where File.ReadAllText(file).Contains($"using Skein.Routing.{above};", StringComparison.Ordinal)
                    select $"{order[index]}/{Path.GetFileName(file)} -> {above}";
        Assert.Empty(wrong);
    }

    private static string Root { get; } = FindRoot();

    private static string[] Projects(string folder) =>
        Directory.GetFiles(Path.Combine(Root, folder), "*.csproj", SearchOption.AllDirectories);

    private static IEnumerable<string> References(string project, string kind) =>
        XDocument.Load(project).Descendants(kind).Select(reference => reference.Attribute("Include")!.Value);

    private static string FindRoot([CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", ".."));
}
