using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Operations.Fleet;

namespace Skein.Cli.Commands;

/// <summary><c>skein drain NAME</c>: sends no new requests to a replica and waits until it is idle; <c>skein undrain NAME</c> ends that.</summary>
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

    public static Command Create() => CommandLine.Verb(
        "drain", "Send no new requests to a replica and wait until it is idle; it stays in the group until 'skein undrain'",
        [.. GatewayConnection.All, Grace, Timeout, CommandOutput.Json], RunAsync, Name);

    public static Command CreateUndrain() => CommandLine.Verb(
        "undrain", "Send new requests to a drained replica again", [.. GatewayConnection.All, CommandOutput.Json], UndrainAsync, Name);

    private static async Task<int> RunAsync(SettingSources sources)
    {
        var name = sources.Get(Name);
        TimeSpan grace = Grace.Read(sources), timeout = Timeout.Read(sources);
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
        CommandOutput.Print(sources, outcome, () =>
        {
            if (outcome.Outcome == DrainOutcome.AlreadyDrained)
                Console.WriteLine($"{name} is already drained");
            else if (outcome.Outcome == DrainOutcome.Drained)
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name} is drained after {outcome.Seconds:0.0} s; {hint}"));
        });
        return outcome.Outcome == DrainOutcome.TimedOut
            ? throw new CommandFailedException($"{DrainWait.Explain(outcome, timeout)}; the drain continues, {hint}")
            : CommandLine.Success;
    }

    private static async Task<int> UndrainAsync(SettingSources sources)
    {
        var name = sources.Get(Name);
        using var gateway = GatewayConnection.Open(sources);
        var row = await gateway.UndrainAsync(name, CancellationToken.None);
        var outcome = new DrainOutcome(name, row.Changed ? "undrained" : "not_drained", 0, row.InFlight, null);
        CommandOutput.Print(sources, outcome, () => Console.WriteLine(row.Changed ? $"{name} accepts requests again" : $"{name} was not draining"));
        return CommandLine.Success;
    }
}
