using System.CommandLine;
using System.Text.Json;
using Skein.Operations.Fleet;
using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Gateway.Admin;

namespace Skein.Cli.Commands;

/// <summary><c>skein undrain NAME</c>: takes a drain back.</summary>
internal static class UndrainCommand
{
    private static readonly Argument<string> Name = new("name") { Description = "The replica, as 'skein status' names it" };
    private static readonly Setting<bool> Json = Setting.Flag("json", "Print JSON");

    public static Command Create()
    {
        var command = CommandLine.Verb("undrain", "Send work to a drained replica again", [GatewayConnection.Address, Json], RunAsync);
        command.Arguments.Add(Name);
        return command;
    }

    private static async Task<int> RunAsync(SettingSources sources)
    {
        var name = sources.Get(Name);
        using var gateway = GatewayConnection.Open(sources);
        var row = await new FleetClient(gateway).UndrainAsync(name, CancellationToken.None);
        var outcome = new DrainOutcome(name, row.Changed ? "undrained" : "not_drained", 0, row.InFlight, null);
        await Console.Out.WriteLineAsync(
            Json.Read(sources) ? JsonSerializer.Serialize(outcome, JsonSerializerOptions.Web)
            : row.Changed ? $"{name} takes work again"
            : $"{name} was not draining");
        return CommandLine.Success;
    }
}
