using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Skein.Operations.Fleet;
using Skein.Cli.Settings;
using Skein.Cli.Terminal;

namespace Skein.Cli.Commands;

/// <summary><c>skein drain NAME</c>: no new work for one replica, until nothing runs on it.</summary>
internal static class DrainCommand
{
    private static readonly Argument<string> Name = new("name") { Description = "The replica, as 'skein status' names it" };

    /// <summary>The grace of a drain, for every verb that drains.</summary>
    public static Setting<TimeSpan> Grace { get; } = Setting.Duration(
        "grace", "How long streams may go on to finish where they run before they are moved [default: 30s]", TimeSpan.FromSeconds(30), TimeSpan.FromHours(24)).Of("drain");

    private static readonly Setting<TimeSpan> Timeout = Setting.Duration(
        "timeout", "Longest wait for the last stream; past it exit code 1, and the replica goes on draining [default: 10m]", TimeSpan.FromMinutes(10), TimeSpan.FromHours(24)).Of("drain");

    private static readonly Setting<bool> Json = Setting.Flag("json", "Print JSON");

    public static Command Create()
    {
        var command = CommandLine.Verb(
            "drain", "Send no new work to a replica and wait until it is idle; it stays in the group until 'undrain'", [GatewayConnection.Address, Grace, Timeout, Json], RunAsync);
        command.Arguments.Add(Name);
        return command;
    }

    private static async Task<int> RunAsync(SettingSources sources)
    {
        var name = sources.Get(Name);
        TimeSpan grace = Grace.Read(sources), timeout = Timeout.Read(sources);
        var json = Json.Read(sources);
        using var gateway = GatewayConnection.Open(sources);
        using var signal = new StopSignal(supervised: false);
        using var progress = new ProgressLine();
        DrainOutcome outcome;
        try
        {
            var fleet = new FleetClient(gateway);
            outcome = await new DrainWait(fleet, TimeProvider.System).RunAsync(
                name, fleet.DrainAsync(name, grace, signal.Stop), timeout, blocked => progress.Tell($"{name} drains: {blocked}"), signal.Stop);
        }
        catch (OperationCanceledException) when (signal.Stop.IsCancellationRequested)
        {
            throw new CommandFailedException($"no longer waiting; {name} goes on draining, 'skein undrain {name}' takes it back");
        }
        finally
        {
            progress.Dispose();
        }
        if (json)
            await Console.Out.WriteLineAsync(JsonSerializer.Serialize(outcome, JsonSerializerOptions.Web));
        if (outcome.Outcome == DrainOutcome.TimedOut)
            throw new CommandFailedException($"{DrainWait.Explain(outcome, timeout)}; it goes on draining, 'skein undrain {name}' takes it back");
        if (!json)
        {
            await Console.Out.WriteLineAsync(outcome.Outcome == DrainOutcome.AlreadyDrained
                ? $"{name} was drained already"
                : string.Create(CultureInfo.InvariantCulture, $"{name} is drained after {outcome.Seconds:0.0} s; 'skein undrain {name}' takes it back"));
        }
        return CommandLine.Success;
    }
}
