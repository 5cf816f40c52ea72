using System.CommandLine;
using System.Text.Json;
using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Operations.Fleet;

namespace Skein.Cli.Commands;

/// <summary><c>skein undrain NAME</c>: ends the drain of a replica.</summary>
internal static class UndrainCommand
{
    private static readonly Argument<string> Name = new("name") { Description = "Name of the replica, as in 'skein status'" };
    private static readonly Setting<bool> Json = Setting.Flag("json", "Print JSON");

    public static Command Create()
    {
        var command = CommandLine.Verb("undrain", "Send new requests to a drained replica again", [GatewayConnection.Address, Json], RunAsync);
        command.Arguments.Add(Name);
        return command;
    }

    private static async Task<int> RunAsync(SettingSources sources)
    {
        var name = sources.Get(Name);
        using var gateway = GatewayConnection.Open(sources);
        var row = await gateway.UndrainAsync(name, CancellationToken.None);
        var outcome = new DrainOutcome(name, row.Changed ? "undrained" : "not_drained", 0, row.InFlight, null);
        await Console.Out.WriteLineAsync(
            Json.Read(sources) ? JsonSerializer.Serialize(outcome, JsonSerializerOptions.Web)
            : row.Changed ? $"{name} accepts requests again"
            : $"{name} was not draining");
        return CommandLine.Success;
    }
}
