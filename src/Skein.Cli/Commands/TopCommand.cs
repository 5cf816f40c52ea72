using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Gateway.Admin;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Skein.Cli.Commands;

/// <summary><c>skein top</c>: the group and this gateway's work, refreshed every second: the dashboard for a terminal.</summary>
internal static class TopCommand
{
    private const int MostFailovers = 8;
    private const int LineChars = 80;

    /// <summary>Enough to find a request in the log.</summary>
    private const int ShownIdChars = 13;

    public static Command Create() => CommandLine.Verb(
        "top", "Watch the group, its load, latencies and failovers until Ctrl-C", [.. GatewayConnection.All], RunAsync);

    /// <param name="tokensPerSecond">Of answers, since the last overview.</param>
    /// <param name="problem">Why the gateway does not answer now; null: it does.</param>
    internal static IRenderable View(OverviewRow overview, double tokensPerSecond, string? problem)
    {
        var lines = new Table().Border(TableBorder.None).HideHeaders().AddColumn("").AddColumn("");
        lines.AddRow(new Text("fleet"), new Text(StatusCommand.Summary(overview.Members)));
        lines.AddRow(new Text("here"), new Text(FormattableString.Invariant(
            $"{overview.Sessions} requests, {overview.Waiting} of them wait · {tokensPerSecond:0} tokens/s")));
        lines.AddRow(new Text("first token"), new Text(Times(overview.FirstToken)));
        lines.AddRow(new Text("per token"), new Text(Times(overview.BetweenTokens)));
        lines.AddRow(new Text("since start"), new Text(FormattableString.Invariant(
            $"{overview.Requests} requests, {overview.Failed} failed · {overview.FailoverCount} failovers")));
        var rows = new List<IRenderable> { lines, StatusCommand.ToTable(overview.Members) };
        if (problem is not null)
            rows.Insert(0, new Markup($"[red]{Markup.Escape(problem)}[/]"));
        rows.AddRange(overview.Failovers.Reverse().Take(MostFailovers).Select(lost => new Text(Shorten(FormattableString.Invariant(
            $"{lost.At.ToLocalTime():HH:mm:ss} {Shorten(lost.Request, ShownIdChars)} left {lost.From} at token {lost.Token}: {lost.Reason}"), LineChars))));
        return new Rows(rows);
    }

    private static async Task<int> RunAsync(SettingSources sources)
    {
        using var gateway = GatewayConnection.Open(sources);
        OverviewRow? last = null;
        await AnsiConsole.Live(new Text("connecting …")).StartAsync(live => GatewayWatch.RunAsync(gateway.OverviewAsync, (overview, problem) =>
        {
            live.UpdateTarget(View(overview, Rate(last, overview), problem));
            live.Refresh();
            last = overview;
        }));
        return CommandLine.Success;
    }

    private static string Shorten(string text, int chars) => text.Length <= chars ? text : text[..(chars - 1)] + "…";

    private static double Rate(OverviewRow? last, OverviewRow now) =>
        last is not null && now.At > last.At ? Math.Max(0, (now.OutputTokens - last.OutputTokens) / (now.At - last.At).TotalSeconds) : 0;

    private static string Times(TimesRow times) => times.Count == 0
        ? "no measurement yet"
        : FormattableString.Invariant($"p50 {times.P50:0} ms · p90 {times.P90:0} ms · p99 {times.P99:0} ms");
}
