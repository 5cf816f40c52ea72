using System.Globalization;
using Skein.Operations.Rollout;
using Spectre.Console;

namespace Skein.Cli.Commands;

/// <summary>Shows a rolling update: a table that changes in place on a terminal, else a line on standard error for each step.</summary>
internal sealed class RolloutView
{
    private readonly Dictionary<string, RolloutStage> _told = new(StringComparer.Ordinal);

    /// <summary>Runs with the view that fits.</summary>
    public static async Task RunAsync(bool isLive, RolloutCore core, Func<TimeSpan> now, Func<Action, Task> run)
    {
        var view = new RolloutView();
        if (!isLive)
        {
            await run(() => view.TellLines(core));
            return;
        }
        await AnsiConsole.Live(ToTable(core, now())).StartAsync(context => run(() => context.UpdateTarget(ToTable(core, now()))));
    }

    internal static Table ToTable(RolloutCore core, TimeSpan now)
    {
        var table = new Table().Border(TableBorder.Simple);
        foreach (var column in new[] { "NAME", "FROM", "STATE", "TIME", "" })
            table.AddColumn(new TableColumn(column));
        foreach (var step in core.Steps)
        {
            var time = step.Began is { } began ? string.Create(CultureInfo.InvariantCulture, $"{((step.Ended ?? now) - began).TotalSeconds:0} s") : "";
            table.AddRow(Markup.Escape(step.Name), Markup.Escape(step.From), $"[{ColourOf(step)}]{WordOf(step.Stage)}[/]", time, Markup.Escape(step.Detail));
        }
        return table;
    }

    private void TellLines(RolloutCore core)
    {
        foreach (var step in core.Steps)
        {
            var isNew = !_told.TryGetValue(step.Name, out var told);
            if (isNew ? step.Stage == RolloutStage.Waiting : told == step.Stage)
                continue;
            _told[step.Name] = step.Stage;
            var detail = step.IsActive || step.Detail.Length == 0 ? "" : $": {step.Detail}";
            Console.Error.WriteLine($"{step.Name} {WordOf(step.Stage)}{detail}");
        }
    }

    private static string WordOf(RolloutStage stage) => stage switch
    {
        RolloutStage.Waiting => "waits",
        RolloutStage.Draining => "drains",
        RolloutStage.Restarting => "restarts",
        RolloutStage.Rejoining => "comes back",
        RolloutStage.Probing => "answers canaries",
        RolloutStage.Calming => "is watched",
        RolloutStage.RollingBack => "is rolled back",
        RolloutStage.Updated => "is updated",
        RolloutStage.Skipped => "was there already",
        RolloutStage.Failed => "failed",
        _ => "was rolled back",
    };

    private static string ColourOf(RolloutStep step) => step.Stage switch
    {
        RolloutStage.Updated or RolloutStage.Skipped => "green",
        RolloutStage.Failed or RolloutStage.RolledBack or RolloutStage.RollingBack => "red",
        RolloutStage.Waiting => "grey",
        _ => "yellow",
    };
}
