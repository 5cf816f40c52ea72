using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Gateway.Admin;
using Spectre.Console;
using Skein.Operations.Fleet;

namespace Skein.Cli.Commands;

/// <summary><c>skein status</c>: who is in the group, and how busy.</summary>
internal static class StatusCommand
{
    private static readonly string[] Columns = ["NAME", "ROLE", "STATE", "PID", "MODELS", "BUSY", "QUEUED", "HTTP", "GRPC", "GOSSIP", "VERSION"];
    private static readonly Setting<bool> Json = Setting.Flag("json", "Print JSON");
    private static readonly Setting<bool> Watch = Setting.Flag("watch", "Print anew each second until Ctrl-C");

    public static Command Create() => CommandLine.Verb("status", "Show the members of the group, their roles, versions and load", [GatewayConnection.Address, Json, Watch], RunAsync);

    internal static Table ToTable(IReadOnlyList<MemberRow> members)
    {
        var table = new Table().Border(TableBorder.Simple);
        // Most fleets have no revisions, and the table is wide.
        string[] revision = members.Any(member => member.Revision.Length > 0) ? ["REVISION"] : [];
        // Nor is anything wrong, most of the time.
        string[] health = members.Any(member => member.Health is not ("" or "ok")) ? ["HEALTH"] : [];
        foreach (var column in Columns.Concat(revision).Concat(health))
            table.AddColumn(new TableColumn(column).NoWrap());
        foreach (var member in members)
        {
            string[] cells =
            [
                Markup.Escape(member.Name), member.Role, StateOf(member), Number(member.Pid), Markup.Escape(string.Join(", ", member.Models)),
                member.Role == Protocol.Roles.Replica ? $"{member.InFlight}/{member.Slots}" : "", member.Role == Protocol.Roles.Gateway ? Number(member.Queued) : "",
                member.Http, member.Grpc, member.Gossip, Markup.Escape(member.Version),
            ];
            table.AddRow([.. cells, .. revision.Select(_ => Markup.Escape(member.Revision)), .. health.Select(_ => HealthOf(member))]);
        }
        return table;
    }

    private static async Task<int> RunAsync(SettingSources sources)
    {
        using var gateway = GatewayConnection.Open(sources);
        var json = Json.Read(sources);
        if (!Watch.Read(sources))
        {
            Print(await gateway.MembersAsync(CancellationToken.None), json);
            return CommandLine.Success;
        }
        using var signal = new StopSignal(supervised: false);
        using var period = new PeriodicTimer(TimeSpan.FromSeconds(1), TimeProvider.System);
        try
        {
            do
            {
                var members = await gateway.MembersAsync(signal.Stop);
                if (!json)
                    AnsiConsole.Clear();
                Print(members, json);
            }
            while (await period.WaitForNextTickAsync(signal.Stop));
        }
        catch (OperationCanceledException)
        {
            // Ctrl-C is how one leaves.
        }
        return CommandLine.Success;
    }

    private static void Print(IReadOnlyList<MemberRow> members, bool json)
    {
        if (json)
        {
            Console.WriteLine(JsonSerializer.Serialize(members, JsonSerializerOptions.Web));
            return;
        }
        // Piped into a file there is no terminal to fit into: never cut a column.
        if (Console.IsOutputRedirected)
            AnsiConsole.Profile.Width = 240;
        AnsiConsole.Write(ToTable(members));
    }

    private static string StateOf(MemberRow member) => (member.State, member.Draining) switch
    {
        ("alive", true) => "[yellow]draining[/]",
        ("alive", false) => "[green]alive[/]",
        ("suspect", _) => "[yellow]suspect[/]",
        _ => $"[red]{member.State}[/]",
    };

    private static string HealthOf(MemberRow member) => member.Health switch
    {
        "ok" => "[green]ok[/]",
        "warming" or "trial" => $"[yellow]{member.Health}[/]",
        // From a gateway of another release there may come other words.
        _ => $"[red]{Markup.Escape(member.Health)}[/]",
    };

    private static string Number(uint value) => value.ToString(CultureInfo.InvariantCulture);
}
