using Skein.Operations.Rollout;
using Spectre.Console;

namespace Skein.Cli.Commands;

/// <summary>Shows a rolling update: a live table on a terminal, otherwise one line on standard error per change of stage.</summary>
internal sealed class RolloutView
{
    private readonly Dictionary<string, RolloutStage> _shown = new(StringComparer.Ordinal);

    public static async Task RunAsync(bool isLive, RolloutCore core, Func<TimeSpan> now, Func<Action, Task> run)
    {
        var view = new RolloutView();
        if (isLive)
            await AnsiConsole.Live(ToTable(core, now())).StartAsync(context => run(() => context.UpdateTarget(ToTable(core, now()))));
        else
            await run(() => view.WriteLines(core));
    }

    private static Table ToTable(RolloutCore core, TimeSpan now)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumns("NAME", "FROM", "STATE", "TIME", "");
        foreach (var step in core.Steps)
        {
            var time = step.Began is { } began ? string.Create(CultureInfo.InvariantCulture, $"{((step.Ended ?? now) - began).TotalSeconds:0} s") : "";
            var state = $"[{ColourOf(step)}]{NameOf(step.Stage)}[/]";
            table.AddRow(Markup.Escape(step.Name), Markup.Escape(step.From.Length > 0 ? step.From : "-"), state, time, Markup.Escape(step.Detail));
        }
        return table;
    }

    private void WriteLines(RolloutCore core)
    {
        foreach (var step in core.Steps)
        {
            var isNew = !_shown.TryGetValue(step.Name, out var shown);
            if (isNew ? step.Stage == RolloutStage.Waiting : shown == step.Stage)
                continue;
            _shown[step.Name] = step.Stage;
            var detail = step.IsActive || step.Detail.Length == 0 ? "" : $": {step.Detail}";
            Console.Error.WriteLine($"{step.Name} {NameOf(step.Stage)}{detail}");
        }
    }

    private static string NameOf(RolloutStage stage) => stage switch
    {
        RolloutStage.Waiting => "waiting",
        RolloutStage.Draining => "draining",
        RolloutStage.Restarting => "restarting",
        RolloutStage.Rejoining => "rejoining",
        RolloutStage.Probing => "answering canaries",
        RolloutStage.WatchingErrors => "watching errors",
        RolloutStage.RollingBack => "rolling back",
        RolloutStage.Updated => "updated",
        RolloutStage.Skipped => "already up to date",
        RolloutStage.Failed => "failed",
        _ => "rolled back",
    };

    private static string ColourOf(RolloutStep step) => step.Stage switch
    {
        RolloutStage.Updated or RolloutStage.Skipped => "green",
        RolloutStage.Failed or RolloutStage.RolledBack or RolloutStage.RollingBack => "red",
        RolloutStage.Waiting => "grey",
        _ => "yellow",
    };
}
