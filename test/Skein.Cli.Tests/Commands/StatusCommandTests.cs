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
    public void ToTable_Members_ShowsWhoIsBusyAndWhoDrains()
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
    public void ToTable_NobodyHasARevision_ShowsNone() =>
        Assert.DoesNotContain("REVISION", Render([Gateway, Replica with { Revision = "" }])[0], StringComparison.Ordinal);

    [Fact]
    public void ToTable_AReplicaIsEjected_ShowsWhatTheGatewayThinksOfEach()
    {
        var lines = Render([Gateway, Replica with { Name = "r1", Health = "ok" }, Replica with { Name = "r2", Health = "ejected" }]);

        Assert.EndsWith(" REVISION HEALTH", lines[0], StringComparison.Ordinal);
        Assert.EndsWith("0.1.0", lines[1], StringComparison.Ordinal);
        Assert.EndsWith(" r7 ok", lines[2], StringComparison.Ordinal);
        Assert.EndsWith(" r7 ejected", lines[3], StringComparison.Ordinal);
    }

    [Fact]
    public void ToTable_AllAreWell_ShowsNoHealth() =>
        Assert.DoesNotContain("HEALTH", Render([Gateway, Replica with { Health = "ok" }])[0], StringComparison.Ordinal);

    [Fact]
    public void Json_Row_HasTheNamesThatScriptsHangOn()
    {
        using var row = JsonDocument.Parse(JsonSerializer.Serialize(Replica, JsonSerializerOptions.Web));

        Assert.Equal(
            ["name", "role", "state", "generation", "version", "revision", "pid", "http", "grpc", "gossip", "models", "slots", "inFlight", "queued", "draining", "health"],
            row.RootElement.EnumerateObject().Select(member => member.Name));
    }

    /// <summary>The table's lines, without its rules and with single blanks.</summary>
    private static string[] Render(IReadOnlyList<MemberRow> members)
    {
        using var output = new StringWriter();
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, Out = new AnsiConsoleOutput(output) });
        console.Profile.Width = 240;
        console.Write(StatusCommand.ToTable(members));
        return
        [
            .. output.ToString().Split('\n').Select(line => string.Join(' ', line.Split(' ', StringSplitOptions.RemoveEmptyEntries)))
                .Where(line => line.Any(char.IsAsciiLetter)),
        ];
    }
}
