using System.CommandLine;
using System.CommandLine.Parsing;

namespace Skein.Cli.Tests;

public sealed class HelpPagesTests
{
    public static TheoryData<string> Examples => [.. HelpPages.Examples.Values.SelectMany(lines => lines)];

    [Theory]
    [MemberData(nameof(Examples))]
    public void Examples_AreCommandsOfTheirVerb(string example)
    {
        var parsed = SkeinCommand.Create().Parse([.. CommandLineParser.SplitCommandLine(example).Skip(1)]);

        Assert.Empty(parsed.Errors);
        var path = HelpPages.Examples.Single(page => page.Value.Contains(example)).Key;
        Assert.StartsWith($"skein {path}", example, StringComparison.Ordinal);
        Assert.Equal(path.Split(' ')[^1], parsed.CommandResult.Command.Name);
    }

    [Theory]
    [InlineData("gateway")]
    [InlineData("replica")]
    public async Task Help_ManyOptions_AreInGroupsEachOnce(string verb)
    {
        var root = SkeinCommand.Create();
        using var output = new StringWriter();

        Assert.Equal(0, await root.Parse([verb, "--help"]).InvokeAsync(
            new InvocationConfiguration { Output = output }, TestContext.Current.CancellationToken));

        var lines = output.ToString().ReplaceLineEndings("\n").Split('\n');
        var shown = lines.Where(line => line.StartsWith("  --", StringComparison.Ordinal)).Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[0]).ToList();
        Assert.Equal(root.Subcommands.Single(command => command.Name == verb).Options.Where(option => !option.Hidden).Select(option => option.Name).Order(), shown.Order());
        Assert.True(lines.Count(line => line is [not ' ', .., ':']) > 5, output.ToString());
        Assert.Contains("Group and network:", lines);
    }

    [Fact]
    public async Task Help_FewOptions_AreOneListWithAnExample()
    {
        using var output = new StringWriter();

        await SkeinCommand.Create().Parse(["status", "--help"]).InvokeAsync(new InvocationConfiguration { Output = output }, TestContext.Current.CancellationToken);

        Assert.DoesNotContain("Keys and certificates:", output.ToString(), StringComparison.Ordinal);
        Assert.EndsWith("Example:\n  skein status --watch\n", output.ToString().ReplaceLineEndings("\n"), StringComparison.Ordinal);
    }
}
