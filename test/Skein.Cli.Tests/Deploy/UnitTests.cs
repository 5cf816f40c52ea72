using System.Diagnostics;

namespace Skein.Cli.Tests.Deploy;

/// <summary>The units for systemd.</summary>
public sealed class UnitTests
{
    private const string Analyzer = "/usr/bin/systemd-analyze";
    private const string Program = "/usr/local/bin/skein";

    public static TheoryData<string> Units => ["systemd/skein-gateway.service", "systemd/skein-replica.service"];

    [Theory]
    [MemberData(nameof(Units))]
    public void Command_IsUnderstoodAndTheStopWaitsForTheGrace(string file)
    {
        var lines = File.ReadAllLines(DeployFiles.PathOf(file));
        var command = lines.Single(line => line.StartsWith("ExecStart=", StringComparison.Ordinal)).Split('=', 2)[1].Split(' ');

        Assert.Equal(Program, command[0]);
        Assert.Empty(SkeinCommand.Create().Parse(command[1..]).Errors);
        var stop = Seconds(lines.Single(line => line.StartsWith("TimeoutStopSec=", StringComparison.Ordinal)).Split('=')[1]);
        Assert.True(stop >= After(command, "--grace") + After(command, "--lame-duck") + 10, $"systemd ends the member after {stop} s");
        Assert.Contains("Type=notify", lines);
    }

    /// <summary>As systemd itself reads them; the program's path is one that exists here.</summary>
    [Theory]
    [MemberData(nameof(Units))]
    public async Task Unit_IsAcceptedBySystemd(string file)
    {
        Assert.SkipUnless(File.Exists(Analyzer), "needs systemd-analyze: install systemd");
        var folder = Directory.CreateTempSubdirectory("skein-units");
        try
        {
            var unit = Path.Combine(folder.FullName, Path.GetFileName(file));
            var text = await File.ReadAllTextAsync(DeployFiles.PathOf(file), TestContext.Current.CancellationToken);
            await File.WriteAllTextAsync(unit, text.Replace(Program, Environment.ProcessPath, StringComparison.Ordinal), TestContext.Current.CancellationToken);
            using var analyzer = Process.Start(new ProcessStartInfo(Analyzer, ["verify", "--man=no", unit]) { UseShellExecute = false, RedirectStandardError = true, RedirectStandardOutput = true })!;
            var said = await analyzer.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            await analyzer.WaitForExitAsync(TestContext.Current.CancellationToken);

            Assert.DoesNotContain(Path.GetFileName(file), said, StringComparison.Ordinal);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static int After(string[] command, string flag) => Array.IndexOf(command, flag) is >= 0 and var at ? Seconds(command[at + 1]) : 0;

    private static int Seconds(string text) => int.Parse(text.TrimEnd('s'));
}
