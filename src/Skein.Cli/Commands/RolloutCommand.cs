using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Operations.Fleet;
using Skein.Operations.Rollout;

namespace Skein.Cli.Commands;

/// <summary><c>skein rollout</c>: updates every replica to a revision, a few at a time, without losing a request.</summary>
internal static class RolloutCommand
{
    private static readonly RolloutPlan Defaults = new() { Revision = "" };

    private static readonly Setting<string?> Revision = new Setting<string?>(
        "revision", "text", "Target revision; required", RevisionName.Allowed, null,
        (string text, out string? read) => RevisionName.IsValid(read = text)).Of("rollout");

    private static readonly Setting<string?> Command = Setting.Text(
        "command", "words", "Command that restarts replica {name} at {revision}, run without a shell [default: replicas of 'skein up' restart themselves]")
        .Of("rollout");

    private static readonly Setting<string?> Rollback = Setting.Text(
        "rollback-command", "words", "Command for a replica that fails a check; same form as --command").Of("rollout");

    private static readonly Setting<int> MaxUnavailable = Setting.Number(
        "max-unavailable", "Replicas that may be unavailable at a time [default: 1]", 1, 1, 10_000).Of("rollout");

    private static readonly Setting<TimeSpan> Timeout = Setting.Duration(
        "timeout", "Maximum duration of a drain, of a command, and of a restart [default: 10m]", Defaults.Timeout, TimeSpan.FromHours(24)).Of("rollout");

    private static readonly Setting<int> Canaries = Setting.Number(
        "canaries", "Short answers that each model of a restarted replica must give [default: 3]", 3, 0, 1000).Of("rollout");

    private static readonly Setting<TimeSpan> ErrorWindow = Setting.Duration(
        "error-window", "How long the error rate must stay low after a restart; 0 disables the check [default: 10s]",
        Defaults.ErrorPeriod, TimeSpan.FromHours(1)).Of("rollout").Formerly(Setting.Duration("calm", "", default, TimeSpan.FromHours(1)).Of("rollout"));

    private static readonly Setting<double> MaxErrors = Setting.Real(
        "max-errors", "Maximum errors and failovers per hundred requests for a low error rate [default: 1]", 1, 0, 100).Of("rollout");

    private static readonly Setting<bool> IgnoreDead = Setting.Flag(
        "ignore-dead", "Ignore dead replicas instead of restarting them first and counting them as unavailable").Of("rollout");

    public static Command Create() => CommandLine.Verb(
        "rollout",
        "Update every replica to a revision: drain, restart, check, next; run it again to continue a stopped rollout",
        [
            .. GatewayConnection.All, Revision, Command, MaxUnavailable, Rollback, DrainCommand.Grace, Timeout, Canaries, ErrorWindow, MaxErrors, IgnoreDead,
            CommandOutput.Json,
        ],
        RunAsync);

    private static async Task<int> RunAsync(SettingSources sources)
    {
        var plan = PlanOf(sources);
        var isLive = !CommandOutput.Json.Read(sources) && !Console.IsOutputRedirected;
        var tools = ToolsOf(sources, plan, isLive ? _ => { } : Console.Error.WriteLine);
        using var gateway = GatewayConnection.Open(sources);
        using var signal = new StopSignal(supervised: false);
        var core = new RolloutCore(plan, await gateway.MembersAsync(signal.Stop));
        if (core.Steps.Count == 0)
            throw new CommandFailedException("the group has no replica");
        if (tools.Restart is null)
            await RequireRestartableAsync(gateway, core, signal.Stop);
        var run = new RolloutRun(gateway, plan, tools, TimeProvider.System);
        try
        {
            await RolloutView.RunAsync(isLive, core, () => run.Now, show => run.RunAsync(core, show, signal.Stop, signal.AtOnce));
        }
        catch (OperationCanceledException) when (signal.AtOnce.IsCancellationRequested)
        {
            throw new CommandFailedException("stopped at once; see 'skein status' for the state of the replicas, and run it again to continue");
        }
        var report = RolloutReport.Of(core, plan, run.Now);
        CommandOutput.Print(sources, report, () =>
        {
            if (core.IsDone)
                Console.WriteLine(Summary(report));
        });
        return core.IsDone ? CommandLine.Success : throw new CommandFailedException($"the rollout stopped: {report.Reason}; run it again to continue");
    }

    private static string Summary(RolloutReport report)
    {
        var updated = report.Replicas.Count(replica => replica.Outcome == RolloutStage.Updated);
        return updated == 0
            ? $"all {report.Replicas.Count} replicas are already at revision {report.Revision}"
            : string.Create(
                CultureInfo.InvariantCulture, $"{updated} of {report.Replicas.Count} replicas updated to revision {report.Revision} in {report.Seconds:0.0} s");
    }

    private static RolloutPlan PlanOf(SettingSources sources) => new()
    {
        Revision = Revision.Read(sources) ?? throw new UsageException($"--revision is missing; allowed: {RevisionName.Allowed}"),
        MaxUnavailable = MaxUnavailable.Read(sources),
        Timeout = Timeout.Read(sources),
        ErrorPeriod = ErrorWindow.Read(sources),
        MaxErrorRate = MaxErrors.Read(sources) / 100,
        IgnoreDead = IgnoreDead.Read(sources),
        RollsBack = Rollback.IsSet(sources),
    };

    private static RolloutTools ToolsOf(SettingSources sources, RolloutPlan plan, Action<string> say)
    {
        RestartCommand? Of(Setting<string?> setting) => setting.Read(sources) is { } text
            ? new RestartCommand(CommandTemplate.Parse(setting.Option.Name, text), plan.Revision, plan.Timeout, say, TimeProvider.System)
            : null;
        return new RolloutTools(DrainCommand.Grace.Read(sources), Canaries.Read(sources), Of(Command), Of(Rollback));
    }

    /// <summary>Checks, before anything is drained, that every replica can restart itself.</summary>
    private static async Task RequireRestartableAsync(GatewayClient gateway, RolloutCore core, CancellationToken cancellationToken)
    {
        foreach (var step in core.Steps.Where(step => step.IsWaiting))
        {
            if (step.Row.State == "dead")
                throw new CommandFailedException($"{step.Name} is dead and cannot restart itself; start it, or exclude it with --ignore-dead");
            var replica = await gateway.ReplicaAsync(step.Name, cancellationToken);
            if (!replica.Restartable)
            {
                throw new UsageException(
                    $"--command is missing: {step.Name} does not run under 'skein up', so it cannot restart itself; allowed: a command with {{name}} in it");
            }
        }
    }
}
