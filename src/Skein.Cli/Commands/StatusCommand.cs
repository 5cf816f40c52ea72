using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Gateway.Admin;
using Spectre.Console;

namespace Skein.Cli.Commands;

/// <summary><c>skein status</c>: the members of the group, their state and load.</summary>
internal static class StatusCommand
{
    /// <summary>Width of output that is not a terminal, and of the wide table: no column is cut.</summary>
    private const int Unlimited = 400;

    private static readonly Setting<bool> Wide = Setting.Flag("wide", "Show role, process id, all addresses, version, revision and health too");
    private static readonly Setting<bool> Watch = Setting.Flag("watch", "Refresh every second until Ctrl-C");

    public static Command Create() => CommandLine.Verb(
        "status", "Show the members of the group, their state and load", [.. GatewayConnection.All, Wide, CommandOutput.Json, Watch], RunAsync);

    /// <summary>One line about the whole group: <c>3/3 replicas ready · 6/192 slots busy · 0 waiting</c>.</summary>
    internal static string Summary(IReadOnlyList<MemberRow> members)
    {
        List<MemberRow> replicas = [.. members.Where(member => member is { Role: Roles.Replica, State: not "left" })];
        List<MemberRow> alive = [.. replicas.Where(replica => replica.State == "alive")];
        var busy = alive.Sum(replica => (long)replica.InFlight);
        var slots = alive.Sum(replica => (long)replica.Slots);
        var ready = alive.Count(replica => !replica.Draining && replica.Health != "refusing");
        var waiting = members.Sum(member => (long)member.Queued);
        return string.Create(
            CultureInfo.InvariantCulture, $"{ready}/{replicas.Count} replicas ready · {busy}/{slots} slots busy · {waiting} waiting");
    }

    /// <summary>The default table. Names and models that do not fit are shortened.</summary>
    internal static Table ToTable(IReadOnlyList<MemberRow> members)
    {
        var table = NewTable(["NAME", "STATE", "BUSY", "MODEL", "ADDRESS"]);
        table.Columns[0].NoWrap = table.Columns[3].NoWrap = false;
        foreach (var member in members)
        {
            table.AddRow(
                Shortened(member.Name), new Markup(Coloured(StateOrHealth(member))), new Text(Busy(member)), Shortened(ReasonOrModels(member)),
                new Text(member.Role == Roles.Gateway ? member.Http : member.Grpc));
        }
        return table;
    }

    /// <summary>The table of <c>--wide</c>. Kind and tier, revision, health and reason appear only if a member has one.</summary>
    internal static Table ToWideTable(IReadOnlyList<MemberRow> members)
    {
        string[] revision = members.Any(member => member.Revision.Length > 0) ? ["REVISION"] : [];
        string[] health = members.Any(member => member.Health is not ("" or "ok")) ? ["HEALTH"] : [];
        string[] kind = members.Any(member => member.Kind.Length > 0) ? ["KIND", "TIER"] : [];
        string[] reason = members.Any(member => member.Reason.Length > 0) ? ["REASON"] : [];
        var table = NewTable(
            ["NAME", "ROLE", "STATE", "PID", "MODELS", "BUSY", "QUEUED", "HTTP", "GRPC", "GOSSIP", "VERSION", .. kind, .. revision, .. health, .. reason]);
        foreach (var member in members)
        {
            table.AddRow(
            [
                Markup.Escape(member.Name), member.Role, Coloured(StateOf(member)), Number(member.Pid), Markup.Escape(Models(member)), Busy(member),
                member.Role == Roles.Gateway ? Number(member.Queued) : "", member.Http, member.Grpc, member.Gossip, Markup.Escape(member.Version),
                .. kind.Select(column => Markup.Escape(column == "KIND" ? member.Kind : member.Tier)),
                .. revision.Select(_ => Markup.Escape(member.Revision)), .. health.Select(_ => Coloured(member.Health)),
                .. reason.Select(_ => Markup.Escape(member.Reason)),
            ]);
        }
        return table;
    }

    private static async Task<int> RunAsync(SettingSources sources)
    {
        using var gateway = GatewayConnection.Open(sources);
        if (!Watch.Read(sources))
        {
            Print(sources, await gateway.MembersAsync(CancellationToken.None));
            return CommandLine.Success;
        }
        await GatewayWatch.RunAsync(gateway.MembersAsync, (members, problem) =>
        {
            if (!CommandOutput.Json.Read(sources))
                AnsiConsole.Clear();
            if (problem is not null)
                Console.Error.WriteLine(problem);
            Print(sources, members);
        });
        return CommandLine.Success;
    }

    private static void Print(SettingSources sources, IReadOnlyList<MemberRow> members) => CommandOutput.Print(sources, members, () =>
    {
        var wide = Wide.Read(sources);
        if (wide || Console.IsOutputRedirected)
            AnsiConsole.Profile.Width = Unlimited;
        Console.WriteLine(Summary(members));
        // In full: the table cuts it.
        foreach (var member in members.Where(member => member is { Role: Roles.Gateway, Reason.Length: > 0 }))
            Console.WriteLine($"{member.Name}: {member.Reason}");
        AnsiConsole.Write(wide ? ToWideTable(members) : ToTable(members));
        if (!members.Any(member => member.Role == Roles.Replica))
            Console.WriteLine("this gateway knows no replica: start one with 'skein replica --join GOSSIP-ADDRESS-OF-THE-GATEWAY', or see its log");
    });

    private static Table NewTable(IEnumerable<string> columns)
    {
        var table = new Table().Border(TableBorder.Simple);
        foreach (var column in columns)
            table.AddColumn(new TableColumn(column).NoWrap());
        return table;
    }

    private static string StateOf(MemberRow member) => member is { State: "alive", Draining: true } ? "draining" : member.State;

    private static string StateOrHealth(MemberRow member) => StateOf(member) == "alive" && member.Health is not ("" or "ok") ? member.Health : StateOf(member);

    // Another release may report words that are not known here: they are shown in red.
    private static string Coloured(string state)
    {
        var colour = state switch
        {
            "alive" or "ok" => "green",
            "draining" or "suspect" or "warming" or "trial" => "yellow",
            _ => "red",
        };
        return state.Length > 0 ? $"[{colour}]{Markup.Escape(state)}[/]" : "";
    }

    private static string Busy(MemberRow member) => member.Role == Roles.Replica ? $"{Number(member.InFlight)}/{Number(member.Slots)}" : "";

    private static Text Shortened(string text) => new(text) { Overflow = Overflow.Ellipsis };

    /// <summary>A member that does not serve has no models: its row says why instead.</summary>
    private static string ReasonOrModels(MemberRow member) => member.Models.Count > 0 ? Models(member) : member.Reason;

    private static string Models(MemberRow member) => string.Join(", ", member.Models);

    private static string Number(uint value) => value.ToString(CultureInfo.InvariantCulture);
}
