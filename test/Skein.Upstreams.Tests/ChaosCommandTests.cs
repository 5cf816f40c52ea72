using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary><c>skein chaos --upstream</c> on scripted servers.</summary>
public sealed class ChaosCommandTests(ITestOutputHelper output)
{
    /// <summary>Pace of the servers: fast enough for the test, slow enough for faults in the middle of answers.</summary>
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(20);

    [Fact]
    public async Task Chaos_ServersContinue_Passes()
    {
        await using var first = ServerOf(honest: true);
        await using var second = ServerOf(honest: true);

        var (code, text) = await RunAsync([first, second], "--faults", "cut", "--max-faults", "5");

        Assert.True(code == 0, text);
        Assert.Contains("PASS", text, StringComparison.Ordinal);
        Assert.Matches("chat +text +[1-9]", text);
    }

    /// <summary>Servers that continue a long answer with something else: the proof at the start, which is short, does not show it.</summary>
    [Fact]
    public async Task Chaos_ServersGoOnOtherwise_Fails()
    {
        await using var first = ServerOf(honest: false);
        await using var second = ServerOf(honest: false);

        var (code, text) = await RunAsync([first, second], "--faults", "cut", "--max-faults", "5");

        Assert.True(code == 1, text);
        Assert.Matches("FAIL: [1-9][0-9]* lost answers differ from the undisturbed ones", text);
    }

    /// <summary>Connections are held, and an operator's command restarts the servers.</summary>
    [Fact]
    public async Task Chaos_ServersFreezeAndAreRestarted_Passes()
    {
        await using var first = ServerOf(honest: true);
        await using var second = ServerOf(honest: true);
        ScriptedServer[] servers = [first, second];
        var restarts = 0;
        await using var control = new ScriptedServer();
        control.Everything = async exchange =>
        {
            var server = servers.Single(server => exchange.Request.Path == $"/{server.Port}");
            await server.KillAsync();
            server.Restart();
            Interlocked.Increment(ref restarts);
            return await Answers.Json("{}")(exchange);
        };
        var restart = $$"""bash -c 'exec 3<>/dev/tcp/{host}/{{control.Port}}; printf "GET /{port} HTTP/1.1\r\nHost: test\r\n\r\n" >&3; head -n 1 <&3'""";

        var (code, text) = await RunAsync(servers, "--faults", "freeze,restart", "--max-faults", "2", "--restart-command", restart);

        Assert.True(code == 0, text);
        Assert.Contains("PASS", text, StringComparison.Ordinal);
        Assert.Matches("freeze upstream-[12] for", text);
        // Faults by which no answer is lost do not count: a short freeze, a restart between two answers.
        Assert.InRange(restarts, 1, 20);
    }

    [Theory]
    [InlineData("--upstream 'http://127.0.0.1:1' is not allowed; allowed: 2 to 16", "--upstream", "http://127.0.0.1:1")]
    [InlineData("--faults 'kill' is not possible for these servers; allowed: freeze, cut", "--upstream", "http://127.0.0.1:1,http://127.0.0.1:2", "--faults", "kill")]
    [InlineData("--restart-command 'date' does not say which server", "--upstream", "http://127.0.0.1:1,http://127.0.0.1:2", "--restart-command", "date")]
    [InlineData("--replicas is for a cluster; allowed here: nothing", "--upstream", "http://127.0.0.1:1,http://127.0.0.1:2", "--replicas", "3")]
    [InlineData("--max-faults is for --upstream and --server-command; allowed here: nothing", "--max-faults", "3")]
    [InlineData("--upstream without http:// address is allowed with --restart-command", "--upstream", "https://127.0.0.1:1,https://127.0.0.1:2")]
    public async Task Chaos_WrongInput_ExitsWith2AndSaysWhatIsAllowed(string message, params string[] flags)
    {
        await using var command = SkeinCommand.Start(["chaos", .. flags]);

        Assert.Equal(2, await command.EndAsync(30));
        Assert.Contains(message, command.Output, StringComparison.Ordinal);
    }

    private static ScriptedServer ServerOf(bool honest) => new() { GenerateForGateway = exchange => TellAsync(exchange, honest) };

    private static Task<Ending> TellAsync(Exchange exchange, bool honest)
    {
        var delivered = exchange.Request.Delivered;
        // Beyond the 20 words that the proof at the start asks for.
        var isLong = delivered.Length > SmallModel.Text.Length * 5 / 8;
        return isLong && !honest
            ? Answers.Words("something ", "else ")(exchange)
            : SmallModel.AnswerAsync(exchange, delivered, Pace);
    }

    private async Task<(int Code, string Output)> RunAsync(ScriptedServer[] servers, params string[] flags)
    {
        await using var command = SkeinCommand.Start(
        [
            "chaos", "--upstream", string.Join(',', servers.Select(server => server.Url)), "--requests", "chat,chat-whole", "--questions", "2", "--duration", "1m",
            "--streams", "4", .. flags,
        ]);
        var code = await command.EndAsync(120);
        output.WriteLine(command.Output);
        return (code, command.Output);
    }
}
