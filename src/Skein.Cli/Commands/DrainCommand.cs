using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Operations.Fleet;

namespace Skein.Cli.Commands;

/// <summary><c>skein drain NAME</c>: sends no new requests to a replica and waits until it is idle.</summary>
internal static class DrainCommand
{
    private static readonly Argument<string> Name = new("name") { Description = "Name of the replica, as in 'skein status'" };

    /// <summary>Grace period, a flag of every verb that drains.</summary>
    public static Setting<TimeSpan> Grace { get; } = Setting.Duration(
        "grace", "How long streams may finish on the replica before they are moved to another one [default: 30s]",
        TimeSpan.FromSeconds(30), TimeSpan.FromHours(24)).Of("drain");

    private static readonly Setting<TimeSpan> Timeout = Setting.Duration(
        "timeout", "Maximum wait until the replica is idle; then exit code 1, and the drain continues [default: 10m]",
        TimeSpan.FromMinutes(10), TimeSpan.FromHours(24)).Of("drain");

    private static readonly Setting<bool> Json = Setting.Flag("json", "Print JSON");

    public static Command Create()
    {
        var command = CommandLine.Verb(
            "drain", "Send no new requests to a replica and wait until it is idle; it stays in the group until 'skein undrain'",
            [GatewayConnection.Address, Grace, Timeout, Json], RunAsync);
        command.Arguments.Add(Name);
        return command;
    }

    private static async Task<int> RunAsync(SettingSources sources)
    {
        var name = sources.Get(Name);
        TimeSpan grace = Grace.Read(sources), timeout = Timeout.Read(sources);
        var json = Json.Read(sources);
        var hint = $"'skein undrain {name}' ends the drain";
        using var gateway = GatewayConnection.Open(sources);
        using var signal = new StopSignal(supervised: false);
        DrainOutcome outcome;
        using (var progress = new ProgressLine())
        {
            try
            {
                outcome = await new DrainWait(gateway, TimeProvider.System).RunAsync(
                    name, gateway.DrainAsync(name, grace, signal.Stop), timeout, blocked => progress.Show($"{name} is draining: {blocked}"), signal.Stop);
            }
            catch (OperationCanceledException) when (signal.Stop.IsCancellationRequested)
            {
                throw new CommandFailedException($"stopped waiting; the drain of {name} continues, {hint}");
            }
        }
        if (json)
            await Console.Out.WriteLineAsync(JsonSerializer.Serialize(outcome, JsonSerializerOptions.Web));
        if (outcome.Outcome == DrainOutcome.TimedOut)
            throw new CommandFailedException($"{DrainWait.Explain(outcome, timeout)}; the drain continues, {hint}");
        if (!json)
        {
            await Console.Out.WriteLineAsync(outcome.Outcome == DrainOutcome.AlreadyDrained
                ? $"{name} is already drained"
                : string.Create(CultureInfo.InvariantCulture, $"{name} is drained after {outcome.Seconds:0.0} s; {hint}"));
        }
        return CommandLine.Success;
    }
}
