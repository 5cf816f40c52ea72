using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;
using Skein.EndToEnd.Support;
using Skein.Gateway.Admin;

namespace Skein.EndToEnd;

/// <summary>Exit codes and final messages of real runs.</summary>
public class CommandTests
{
    [Theory]
    [InlineData("--frobnicate", "up", "--frobnicate")]
    [InlineData("--replicas 'many'", "up", "--replicas", "many")]
    [InlineData("--port '70000' is not allowed; allowed: a whole number from 0 to 65535", "up", "--port", "70000")]
    [InlineData("--engine 'magic' is not allowed; allowed: embedded, simulated, or an http:// or https:// address", "replica", "--engine", "magic")]
    [InlineData("--extra '{\"seed\":1}' is not allowed; allowed: a JSON object without model, messages,", "bench", "--extra", "{\"seed\":1}")]
    [InlineData("--bind 0.0.0.0", "gateway", "--bind", "0.0.0.0")]
    public async Task Run_BadInput_ExitsWith2AndOneLine(string culprit, params string[] arguments)
    {
        var end = await SkeinProcess.RunAsync(arguments);

        Assert.Equal(2, end.ExitCode);
        Assert.Contains(culprit, Assert.Single(end.ErrorLines), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Begin with: skein up")]
    [InlineData("Begin with: skein up", "help")]
    [InlineData("Start a whole cluster on this machine", "help", "up")]
    [InlineData("Run production code in virtual time", "simulate")]
    public async Task Run_HelpOrNothing_ShowsHelpAndExitsWith0(string text, params string[] arguments)
    {
        var end = await SkeinProcess.RunAsync(arguments);

        Assert.Equal((0, ""), (end.ExitCode, end.Errors));
        Assert.Contains(text, end.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Chat_NobodyThere_ExitsWith1AndOneLine()
    {
        var gateway = $"http://127.0.0.1:{FreePort.Next()}";

        var end = await SkeinProcess.RunAsync("chat", "--gateway", gateway, "hello");

        Assert.Equal(1, end.ExitCode);
        Assert.StartsWith($"skein: no gateway answers at {gateway}", Assert.Single(end.ErrorLines));
    }

    [Fact]
    public async Task Chaos_LossWhereNetworksCannotBeMade_ExitsWith2AndSaysWhy()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "elsewhere there is another reason");
        await using var chaos = SkeinProcess.Start(new Dictionary<string, string> { ["PATH"] = "/nowhere" }, "chaos", "--faults", "kill,loss");

        var end = await chaos.EndAsync();

        Assert.Equal(2, end.ExitCode);
        Assert.Equal(
            "skein: --faults 'kill,loss' is not possible: network namespaces cannot be created here: the command unshare (util-linux) is not installed; "
            + "allowed here: kill, freeze, slow, drain, restart, upgrade",
            Assert.Single(end.ErrorLines));
    }

    [Theory]
    [InlineData("gateway", "--http")]
    [InlineData("gateway", "--grpc")]
    [InlineData("gateway", "--gossip")]
    [InlineData("replica", "--grpc")]
    [InlineData("up", "--port")]
    public async Task Run_PortInUse_ExitsWith1AndNamesThePort(string verb, string flag)
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port;
        string[] others = verb == "up" ? ["--engine", "simulated"] : [.. OtherPorts(verb, flag)];

        var end = await SkeinProcess.RunAsync([verb, flag, port.ToString(CultureInfo.InvariantCulture), .. others]);

        Assert.Equal(1, end.ExitCode);
        // The supervisor prints what it does first, and then the lines of its members.
        var last = verb == "up" ? end.ErrorLines[^1] : Assert.Single(end.ErrorLines);
        Assert.StartsWith("skein: ", last);
        Assert.Contains($"127.0.0.1:{port}", last, StringComparison.Ordinal);
        Assert.Contains(flag, last, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Join_UnreachableSeed_IsNamedAndTriedUntilItIsThere()
    {
        var port = FreePort.Next().ToString(CultureInfo.InvariantCulture);
        await using var replica = SkeinProcess.Start("replica", "--engine", "simulated", "--grpc", "0", "--gossip", "0", "--join", $"127.0.0.1:{port}");
        await replica.LineAsync($"127.0.0.1:{port}");

        await using var gateway = SkeinProcess.Start("gateway", "--http", "0", "--grpc", "0", "--gossip", port);
        var up = await gateway.LineAsync("is up: HTTP on ");
        using var client = new HttpClient { BaseAddress = new Uri(up.Split("HTTP on ")[1].Split(',')[0]) };

        await Until.FoundAsync(
            async () => (await client.GetFromJsonAsync<MemberRow[]>("/admin/v1/members", JsonSerializerOptions.Web))!.FirstOrDefault(row => row is { Role: "replica", State: "alive" }),
            "the replica in the group of its late seed",
            context: () => replica.Errors);
        Assert.True(replica.Handle.IsRunning);
    }

    private static IEnumerable<string> OtherPorts(string verb, string but) =>
        (verb == "gateway" ? new[] { "--http", "--grpc", "--gossip" } : ["--grpc", "--gossip"]).Where(flag => flag != but).SelectMany(flag => new[] { flag, "0" });
}
