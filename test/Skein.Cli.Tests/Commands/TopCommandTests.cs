using Skein.Cli.Commands;
using Skein.Gateway.Admin;
using Spectre.Console;

namespace Skein.Cli.Tests.Commands;

public sealed class TopCommandTests
{
    private static readonly OverviewRow Overview = new(
        DateTimeOffset.UnixEpoch, "gateway-1", 7, 2, 100, 1, 5000, 9000, 3, new TimesRow(100, 52, 80, 210), new TimesRow(0, 0, 0, 0), ["tiny"], [new QueueRow("tiny", 2)],
        [new MemberRow("replica-1", "replica", "alive", 1, "0.1.0", "", 42, "", "127.0.0.1:8090", "127.0.0.1:7947", ["tiny"], 64, 5, 0, false)],
        [new FailoverRow(3, DateTimeOffset.UnixEpoch, "request-9", 0, 17, "replica-2", "connection_lost")]);

    [Fact]
    public void View_HasLoadTimesMembersAndFailovers()
    {
        var text = Render(TopCommand.View(Overview, 123.4, problem: null));

        foreach (var part in (string[])[
            "1/1 replicas ready · 5/64 slots busy", "7 requests, 2 of them wait · 123 tokens/s", "p50 52 ms · p90 80 ms · p99 210 ms", "no measurement yet",
            "100 requests, 1 failed · 3 failovers", "replica-1", "request-9 left replica-2 at token 17: connection_lost"])
        {
            Assert.Contains(part, text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void View_GatewayDoesNotAnswer_SaysSoFirstWithin80Columns()
    {
        var lines = Render(TopCommand.View(Overview, 0, "no answer for 3 s: [refused]")).Split('\n');

        Assert.StartsWith("no answer for 3 s: [refused]", lines[0], StringComparison.Ordinal);
        Assert.All(lines, line => Assert.InRange(line.TrimEnd().Length, 0, 80));
    }

    [Fact]
    public void View_LongIdsAndNames_FailoverStaysOnALine()
    {
        var failover = new FailoverRow(4, DateTimeOffset.UnixEpoch, new string('f', 32), 0, 1234567, "replica-in-the-second-rack-9", "connection_lost");

        var lines = Render(TopCommand.View(Overview with { Failovers = [failover] }, 0, problem: null)).Split('\n');

        var line = Assert.Single(lines, line => line.Contains("ffffffffffff…", StringComparison.Ordinal));
        Assert.EndsWith("…", line.TrimEnd(), StringComparison.Ordinal);
        Assert.All(lines, line => Assert.InRange(line.TrimEnd().Length, 0, 80));
    }

    private static string Render(Spectre.Console.Rendering.IRenderable view)
    {
        using var output = new StringWriter();
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, ColorSystem = ColorSystemSupport.NoColors, Out = new AnsiConsoleOutput(output) });
        console.Profile.Width = 80;
        console.Write(view);
        return output.ToString();
    }
}
