using System.Text.Json;
using Skein.Cli.Commands;
using Skein.Gateway.Admin;
using Spectre.Console;

namespace Skein.Cli.Tests.Commands;

public class StatusCommandTests
{
    private static readonly MemberRow Gateway = new(
        "gateway-1", "gateway", "alive", 17, "0.1.0", "", 4242, "127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:7946", [], 0, 9, 5, false);

    private static readonly MemberRow Replica = new(
        "replica-[1]", "replica", "alive", 18, "0.1.0", "r7", 4243, "", "127.0.0.1:8090", "127.0.0.1:7947", ["a", "b"], 64, 3, 0, true);

    [Fact]
    public void ToTable_Members_ShowsStateLoadModelAndAddress()
    {
        var lines = Render(Rows(Gateway, Replica with { Name = "r1", Health = "ejected", Draining = false }, Replica), 80);

        Assert.Equal("NAME STATE BUSY MODEL ADDRESS", lines[0]);
        Assert.Equal("gateway-1 alive 127.0.0.1:8080", lines[1]);
        Assert.Equal("r1 ejected 3/64 a, b 127.0.0.1:8090", lines[2]);
        Assert.Equal("replica-[1] draining 3/64 a, b 127.0.0.1:8090", lines[3]);
    }

    [Fact]
    public void ToTable_LongNamesAndModels_FitInto80Columns()
    {
        var name = new string('n', 64);
        var replica = Replica with
        {
            Name = name, Models = ["organisation/a-model-with-a-very-long-name-Instruct-GGUF"], Slots = 100_000, InFlight = 99_999, Grpc = "192.168.100.100:18090",
        };

        var lines = RenderRaw(StatusCommand.ToTable([replica, Gateway]), 80);

        Assert.All(lines, line => Assert.InRange(line.TrimEnd().Length, 0, 80));
        Assert.Single(lines, line => line.Contains("n…", StringComparison.Ordinal) && line.Contains("draining", StringComparison.Ordinal)
            && line.Contains("99999/100000", StringComparison.Ordinal) && line.Contains("192.168.100.100:18090", StringComparison.Ordinal));
    }

    [Fact]
    public void Summary_Members_CountsReplicasSlotsAndQueue()
    {
        MemberRow[] members =
        [
            Gateway, Replica, Replica with { Name = "r2", Draining = false }, Replica with { Name = "r3", State = "dead", Draining = false },
            Replica with { Name = "r4", State = "left" },
        ];

        Assert.Equal("1/3 replicas ready · 6/128 slots busy · 5 waiting", StatusCommand.Summary(members));
    }

    [Fact]
    public void ToWideTable_Members_ShowsEveryColumn()
    {
        var lines = Render([Gateway, Replica with { Name = "dead-one", State = "dead", Draining = false }, Replica]);

        Assert.Equal(
            ["NAME", "ROLE", "STATE", "PID", "MODELS", "BUSY", "QUEUED", "HTTP", "GRPC", "GOSSIP", "VERSION", "REVISION"],
            lines[0].Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal("gateway-1 gateway alive 4242 5 127.0.0.1:8080 127.0.0.1:8081 127.0.0.1:7946 0.1.0", lines[1]);
        Assert.Equal("dead-one replica dead 4243 a, b 3/64 127.0.0.1:8090 127.0.0.1:7947 0.1.0 r7", lines[2]);
        Assert.Equal("replica-[1] replica draining 4243 a, b 3/64 127.0.0.1:8090 127.0.0.1:7947 0.1.0 r7", lines[3]);
    }

    [Fact]
    public void ToWideTable_NoRevision_HasNoColumn() =>
        Assert.DoesNotContain("REVISION", Render([Gateway, Replica with { Revision = "" }])[0], StringComparison.Ordinal);

    [Fact]
    public void ToWideTable_AReplicaIsEjected_ShowsHealth()
    {
        var lines = Render([Gateway, Replica with { Name = "r1", Health = "ok" }, Replica with { Name = "r2", Health = "ejected" }]);

        Assert.EndsWith(" REVISION HEALTH", lines[0], StringComparison.Ordinal);
        Assert.EndsWith("0.1.0", lines[1], StringComparison.Ordinal);
        Assert.EndsWith(" r7 ok", lines[2], StringComparison.Ordinal);
        Assert.EndsWith(" r7 ejected", lines[3], StringComparison.Ordinal);
    }

    [Fact]
    public void ToWideTable_AllAreHealthy_HasNoHealthColumn() =>
        Assert.DoesNotContain("HEALTH", Render([Gateway, Replica with { Health = "ok" }])[0], StringComparison.Ordinal);

    [Fact]
    public void Tables_UpstreamDoesNotServe_SayWhy()
    {
        var upstream = Replica with { State = "dead", Models = [], Reason = "refuses the gateway's key" };

        Assert.Contains("refuses the gateway's key", string.Join(' ', WordsOf(RenderRaw(StatusCommand.ToTable([upstream]), 120))), StringComparison.Ordinal);
        Assert.Contains("REASON", string.Join(' ', Render([upstream])), StringComparison.Ordinal);
        Assert.DoesNotContain("REASON", string.Join(' ', Render([Replica])), StringComparison.Ordinal);
    }

    [Fact]
    public void ToWideTable_KindIsKnown_ShowsItWithTheTier()
    {
        var table = string.Join(' ', Render([Replica with { Kind = "vllm", Tier = "tokens" }]));

        Assert.Contains("VERSION KIND TIER", table, StringComparison.Ordinal);
        Assert.Contains("vllm tokens", table, StringComparison.Ordinal);
    }

    [Fact]
    public void Json_Row_HasTheNamesThatScriptsHangOn()
    {
        using var row = JsonDocument.Parse(JsonSerializer.Serialize(Replica, JsonSerializerOptions.Web));

        Assert.Equal(
            ["name", "role", "state", "generation", "version", "revision", "pid", "http", "grpc", "gossip", "models", "slots", "inFlight", "queued", "draining", "health", "kind", "tier", "reason"],
            row.RootElement.EnumerateObject().Select(member => member.Name));
    }

    private static MemberRow[] Rows(params MemberRow[] rows) => rows;

    /// <summary>The wide table's lines, without rules and with single blanks.</summary>
    private static string[] Render(IReadOnlyList<MemberRow> members) => WordsOf(RenderRaw(StatusCommand.ToWideTable(members), 240));

    private static string[] Render(IReadOnlyList<MemberRow> members, int width) => WordsOf(RenderRaw(StatusCommand.ToTable(members), width));

    private static string[] WordsOf(IEnumerable<string> lines) =>
        [.. lines.Select(line => string.Join(' ', line.Split(' ', StringSplitOptions.RemoveEmptyEntries))).Where(line => line.Any(char.IsAsciiLetter))];

    private static string[] RenderRaw(Table table, int width)
    {
        using var output = new StringWriter();
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, Out = new AnsiConsoleOutput(output) });
        console.Profile.Width = width;
        console.Write(table);
        return output.ToString().Split('\n');
    }
}
