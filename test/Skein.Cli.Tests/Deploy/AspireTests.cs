using System.Text.RegularExpressions;

namespace Skein.Cli.Tests.Deploy;

/// <summary>The sample for .NET Aspire, which is not part of the solution.</summary>
public sealed partial class AspireTests
{
    [Fact]
    public void Flags_AreUnderstood()
    {
        var program = File.ReadAllText(DeployFiles.PathOf("../samples/AspireHost/Program.cs"));
        var root = SkeinCommand.Create();
        foreach (var verb in (string[])["gateway", "replica"])
        {
            var at = program.IndexOf($"Skein(\"{verb}\"", StringComparison.Ordinal);
            var member = program[at..program.IndexOf(".WithOtlpExporter()", at, StringComparison.Ordinal)];
            var flags = Flags().Matches(member).Select(match => match.Groups["flag"].Value).ToList();
            Assert.NotEmpty(flags);
            var known = root.Subcommands.Single(command => command.Name == verb).Options.Select(option => option.Name);
            Assert.Empty(flags.Except(known));
        }
    }

    [GeneratedRegex("\"(?<flag>--[a-z-]+)\"", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Flags();
}
