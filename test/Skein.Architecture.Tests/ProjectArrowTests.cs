namespace Skein.Architecture.Tests;

/// <summary>Which project may reference which, and what the pure ones must not use.</summary>
public sealed class ProjectArrowTests
{
    private static readonly Dictionary<string, string[]> MayReference = new(StringComparer.Ordinal)
    {
        ["Skein.Protocol"] = [],
        ["Skein.Client"] = [],
        ["Skein.Membership"] = ["Skein.Protocol"],
        ["Skein.Engines"] = ["Skein.Protocol"],
        ["Skein.Routing"] = ["Skein.Protocol"],
        ["Skein.Serving"] = ["Skein.Engines", "Skein.Protocol"],
        ["Skein.Gateway"] = ["Skein.Engines", "Skein.Membership", "Skein.Protocol", "Skein.Routing", "Skein.Serving"],
        ["Skein.Simulation"] = ["Skein.Engines", "Skein.Membership", "Skein.Protocol", "Skein.Routing", "Skein.Serving"],
        ["Skein.Load"] = ["Skein.Protocol"],
        ["Skein.Operations"] = ["Skein.Gateway", "Skein.Load", "Skein.Serving", "Skein.Simulation"],
        ["Skein.Cli"] = ["Skein.Gateway", "Skein.Load", "Skein.Operations", "Skein.Serving", "Skein.Simulation"],
    };

    private static readonly string[] Pure = ["Skein.Routing", "Skein.Membership"];

    [Fact]
    public void EveryProject_HasARule() => Assert.Equal(
        MayReference.Keys.Order(StringComparer.Ordinal),
        SourceTree.Projects("src").Select(Path.GetFileNameWithoutExtension).Order(StringComparer.Ordinal));

    [Fact]
    public void EveryProject_IsInTheSolution()
    {
        var solution = File.ReadAllText(Path.Combine(SourceTree.Root, "Skein.slnx"));
        var missing = SourceTree.Projects("src").Concat(SourceTree.Projects("test")).Select(SourceTree.Relative)
            .Where(project => !solution.Contains($"\"{project}\"", StringComparison.Ordinal));
        SourceTree.AssertNone(missing);
    }

    [Fact]
    public void EveryReference_IsAllowed()
    {
        var wrong = from project in SourceTree.Projects("src")
                    let name = Path.GetFileNameWithoutExtension(project)
                    from reference in SourceTree.References(project, "ProjectReference")
                    let target = Path.GetFileNameWithoutExtension(reference)
                    where !MayReference[name].Contains(target)
                    select $"{name} -> {target}";
        SourceTree.AssertNone(wrong);
    }

    [Fact]
    public void PureProjects_DoNotReferenceAspNet()
    {
        var wrong = from project in SourceTree.Projects("src")
                    where Pure.Contains(Path.GetFileNameWithoutExtension(project))
                    from reference in SourceTree.References(project, "FrameworkReference").Concat(SourceTree.References(project, "PackageReference"))
                    where reference.Contains("AspNetCore", StringComparison.Ordinal) || reference.StartsWith("Grpc.Net", StringComparison.Ordinal)
                    select $"{project} -> {reference}";
        SourceTree.AssertNone(wrong);
    }

    [Theory]
    [InlineData("src/Skein.Routing", "System.Net")]
    [InlineData("src/Skein.Membership/Core", "System.Net.Sockets")]
    public void PureFolders_DoNotUseSockets(string folder, string forbidden)
    {
        var files = SourceTree.CodeIn(folder);
        Assert.NotEmpty(files);
        SourceTree.AssertNone(files.Where(file => File.ReadAllText(file).Contains($"using {forbidden}", StringComparison.Ordinal)).Select(SourceTree.Relative));

        // A using of the project file holds for all of its folders.
        var project = Assert.Single(SourceTree.Projects(string.Join('/', folder.Split('/').Take(2))));
        SourceTree.AssertNone(SourceTree.References(project, "Using").Where(name => name.StartsWith(forbidden, StringComparison.Ordinal)));
    }
}
