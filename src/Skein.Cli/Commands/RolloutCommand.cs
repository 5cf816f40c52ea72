using System.CommandLine;
using System.Globalization;
using Skein.Operations.Fleet;
using Skein.Operations.Rollout;
using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Gateway.Admin;
using Skein.Protocol;

namespace Skein.Cli.Commands;

/// <summary><c>skein rollout</c>: brings every replica to a revision, a few at a time, and loses no request.</summary>
internal static class RolloutCommand
{
    private static readonly RolloutPlan Defaults = new() { Revision = "" };

    private static readonly Setting<string?> Revision = new Setting<string?>(
        "revision", "text", "Revision at which all replicas shall be; required", RevisionName.Allowed, null, (string text, out string? read) => RevisionName.IsValid(read = text)).Of("rollout");

    private static readonly Setting<string?> Command = Setting.Text(
        "command", "words", "Restarts the replica {name} at {revision}; run without a shell [default: replicas of 'skein up' restart themselves]").Of("rollout");

    private static readonly Setting<string?> Rollback = Setting.Text("rollback-command", "words", "Run for a replica that does not pass; same form as --command").Of("rollout");
    private static readonly Setting<int> MaxUnavailable = Setting.Number("max-unavailable", "Replicas that may be away at a time [default: 1]", 1, 1, 10_000).Of("rollout");
    private static readonly Setting<TimeSpan> Timeout = Setting.Duration(
        "timeout", "Longest drain, longest command, and longest time to come back [default: 10m]", Defaults.Timeout, TimeSpan.FromHours(24)).Of("rollout");

    private static readonly Setting<int> Canaries = Setting.Number("canaries", "Short answers that a replica must give of each model when it is back [default: 3]", 3, 0, 1000).Of("rollout");
    private static readonly Setting<TimeSpan> Calm = Setting.Duration(
        "calm", "How long errors must stay low after a replica is back; 0: not watched [default: 10s]", Defaults.Calm, TimeSpan.FromHours(1)).Of("rollout");

    private static readonly Setting<double> MaxErrors = Setting.Real("max-errors", "What is low: errors and failovers per hundred requests, at most [default: 1]", 1, 0, 100).Of("rollout");
    private static readonly Setting<bool> IgnoreDead = Setting.Flag("ignore-dead", "Leave dead replicas out, instead of starting them first and counting them as away").Of("rollout");
    private static readonly Setting<bool> Json = Setting.Flag("json", "Print JSON");

    public static Command Create() => CommandLine.Verb(
        "rollout",
        "Bring every replica to a revision: drain, restart, check, next; run it again to go on",
        [GatewayConnection.Address, Revision, Command, MaxUnavailable, Rollback, DrainCommand.Grace, Timeout, Canaries, Calm, MaxErrors, IgnoreDead, Json],
        RunAsync);

    private static async Task<int> RunAsync(SettingSources sources)
    {
        var plan = PlanOf(sources);
        bool json = Json.Read(sources), isLive = !json && !Console.IsOutputRedirected;
        var tools = ToolsOf(sources, plan, isLive ? _ => { } : Console.Error.WriteLine);
        using var gateway = GatewayConnection.Open(sources);
        using var signal = new StopSignal(supervised: false);
        var fleet = new FleetClient(gateway);
        var core = new RolloutCore(plan, await fleet.MembersAsync(signal.Stop));
        if (core.Steps.Count == 0)
            throw new CommandFailedException("there is no replica in the group");
        if (tools.Restart is null)
            await RequireRestartableAsync(fleet, core, signal.Stop);
        var run = new RolloutRun(fleet, plan, tools, TimeProvider.System);
        try
        {
            await RolloutView.RunAsync(isLive, core, () => run.Now, show => run.RunAsync(core, show, signal.Stop, signal.AtOnce));
        }
        catch (OperationCanceledException) when (signal.AtOnce.IsCancellationRequested)
        {
            throw new CommandFailedException("stopped at once; 'skein status' tells how the replicas are, and running it again goes on");
        }
        var report = RolloutReport.Of(core, plan, run.Now);
        if (json)
            await Console.Out.WriteLineAsync(report.ToJson());
        if (!core.IsDone)
            throw new CommandFailedException($"the rollout stopped: {report.Reason}; run it again to go on");
        if (!json)
            await Console.Out.WriteLineAsync(Summary(report));
        return CommandLine.Success;
    }

    private static string Summary(RolloutReport report)
    {
        var updated = report.Replicas.Count(replica => replica.Outcome == RolloutStage.Updated);
        return updated == 0
            ? $"all {report.Replicas.Count} replicas were at revision {report.Revision} already"
            : string.Create(CultureInfo.InvariantCulture, $"{updated} of {report.Replicas.Count} replicas brought to revision {report.Revision} in {report.Seconds:0.0} s");
    }

    private static RolloutPlan PlanOf(SettingSources sources) => new()
    {
        Revision = Revision.Read(sources) ?? throw new UsageException($"--revision is missing; allowed: {RevisionName.Allowed}"),
        MaxUnavailable = MaxUnavailable.Read(sources),
        Timeout = Timeout.Read(sources),
        Calm = Calm.Read(sources),
        MaxErrorRate = MaxErrors.Read(sources) / 100,
        IgnoreDead = IgnoreDead.Read(sources),
        RollsBack = Rollback.IsSet(sources),
    };

    private static RolloutTools ToolsOf(SettingSources sources, RolloutPlan plan, Action<string> say)
    {
        RestartCommand? Of(Setting<string?> setting) => setting.Read(sources) is { } text
            ? new RestartCommand(CommandTemplate.Parse(setting.Option.Name, text), plan.Revision, plan.Timeout, say, TimeProvider.System)
            : null;
        return new RolloutTools(DrainCommand.Grace.Read(sources), plan.Timeout, Canaries.Read(sources), Of(Command), Of(Rollback));
    }

    /// <summary>Found out before anything is drained.</summary>
    private static async Task RequireRestartableAsync(FleetClient fleet, RolloutCore core, CancellationToken cancellationToken)
    {
        foreach (var step in core.Steps.Where(step => step.IsWaiting))
        {
            if (step.Row.State == "dead")
                throw new CommandFailedException($"{step.Name} is dead, so nothing can ask it to restart; start it, or leave it out with --ignore-dead");
            var replica = await fleet.LookAsync(step.Name, cancellationToken);
            if (!replica.Restartable)
                throw new UsageException($"--command is missing: {step.Name} does not run under 'skein up', so it cannot restart itself; allowed: a command with {{name}} in it");
        }
    }
}
