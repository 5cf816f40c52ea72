using System.Collections;
using System.CommandLine;
using Skein.Cli.Terminal;
using Skein.Routing.Balancing;
using Skein.Simulation.Membership;

namespace Skein.Cli.Tests;

public class CommandLineTests
{
    /// <summary>Verbs that run something: those with verbs of their own are named with them.</summary>
    public static TheoryData<string> Verbs =>
        [.. SkeinCommand.Create().Subcommands.SelectMany(verb => verb.Subcommands.Count == 0 ? [verb.Name] : verb.Subcommands.Select(sub => $"{verb.Name} {sub.Name}"))];

    [Theory]
    [MemberData(nameof(Verbs))]
    public async Task Help_OfEveryVerb_NamesEveryFlag(string verb)
    {
        var root = SkeinCommand.Create();
        using var output = new StringWriter();

        Assert.Equal((0, ""), await RunHelpAsync([.. verb.Split(' '), "--help"], output));

        var command = verb.Split(' ').Aggregate((Command)root, (parent, name) => parent.Subcommands.Single(sub => sub.Name == name));
        Option[] options = [.. command.Options];
        Assert.Contains(options, option => option.Name == "--config");
        foreach (var option in options)
            Assert.Equal(!option.Hidden, output.ToString().Contains(option.Name, StringComparison.Ordinal));
    }

    /// <summary>Also where arguments are missing or wrong.</summary>
    [Theory]
    [MemberData(nameof(Verbs))]
    public async Task Help_EveryWayToAskForIt_PrintsTheSamePage(string verb)
    {
        using var expected = new StringWriter();
        await RunHelpAsync([.. verb.Split(' '), "--help"], expected);

        foreach (var arguments in (IEnumerable<string[]>)[
            [.. verb.Split(' '), "-h"], [.. verb.Split(' '), "-?"], ["help", .. verb.Split(' ')], [.. verb.Split(' '), "--no-such-flag", "--help"],
            [.. verb.Split(' '), "one", "two", "three", "--help"]])
        {
            using var output = new StringWriter();
            Assert.Equal((0, ""), await RunHelpAsync(arguments, output));
            Assert.Equal(expected.ToString(), output.ToString());
        }
    }

    /// <summary>A choice between two words whose values are true and false was taken for a switch, and its words for arguments.</summary>
    [Theory]
    [MemberData(nameof(Verbs))]
    public void Flag_WithAWordThatTheHelpLists_IsRead(string verb)
    {
        var root = SkeinCommand.Create();
        var command = verb.Split(' ').Aggregate((Command)root, (parent, name) => parent.Subcommands.Single(sub => sub.Name == name));
        foreach (var option in command.Options.Where(option => option.HelpName?.Contains('|', StringComparison.Ordinal) == true))
        {
            foreach (var word in option.HelpName!.Split('|'))
            {
                var parsed = root.Parse([.. verb.Split(' '), option.Name, word]);
                Assert.Empty(parsed.UnmatchedTokens);
                Assert.DoesNotContain(parsed.Errors, error => error.Message.Contains(word, StringComparison.Ordinal));
            }
        }
    }

    [Fact]
    public async Task Help_NamesEveryVerbAndWhereToBegin()
    {
        using var output = new StringWriter();

        await SkeinCommand.Create().Parse(["--help"]).InvokeAsync(new InvocationConfiguration { Output = output }, TestContext.Current.CancellationToken);

        foreach (var verb in new[] { "up", "gateway", "replica", "status", "drain", "undrain", "rollout", "chat", "bench" })
            Assert.Matches($@"(?m)^\s+{verb}\s", output.ToString());
        Assert.Contains("Begin with: skein up", output.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("skein: --replicas 'none' is not allowed; allowed: a whole number from 1 to 64", "up", "--replicas", "none")]
    [InlineData("skein: --replicas 4 does not go with 2 engines; allowed: 2, or a single engine", "up", "--replicas", "4", "--engine", "embedded", "--engine", "simulated")]
    [InlineData("skein: --replicas 3 does not go with one server, which one replica serves; allowed: 1, or one --engine URL each", "up", "--replicas", "3", "--engine", "http://127.0.0.1:1")]
    [InlineData("skein: --restart-delay '2d' is not allowed; allowed: a time such as 500ms, 2s or 10m, to 1h", "up", "--restart-delay", "2d")]
    [InlineData("skein: --gateway 'ftp://x' is not allowed; allowed: an http:// or https:// address", "status", "--gateway", "ftp://x")]
    [InlineData("skein: --weight '0' is not allowed; allowed: a number from 0.001 to 1000", "replica", "--engine", "simulated", "--grpc", "0", "--gossip", "0", "--weight", "0")]
    [InlineData("skein: --model is for the embedded engine and for servers; allowed with --engine simulated: nothing", "replica", "--engine", "simulated", "--model", "x.gguf")]
    [InlineData("skein: --upstream 'ftp://x' is not allowed; allowed: http:// or https:// addresses without user name, query and fragment, at most 64, each of another host and port", "gateway", "--upstream", "ftp://x")]
    [InlineData("skein: --upstream 'http://a:1,http://A:1/v1' is not allowed; allowed: http:// or https:// addresses without user name, query and fragment, at most 64, each of another host and port", "gateway", "--upstream", "http://a:1", "--upstream", "http://A:1/v1")]
    [InlineData("skein: --upstream-slots 4 is for upstreams; allowed without --upstream: nothing", "gateway", "--upstream-slots", "4")]
    [InlineData("skein: --model is for the embedded engine and for servers; allowed with --engine simulated: nothing", "up", "--engine", "simulated", "--model", "x.gguf")]
    [InlineData("skein: --engine embedded: --model '/no/such.gguf' is not a file; allowed: a GGUF file", "up", "--model", "/no/such.gguf")]
    [InlineData("skein: --slots 'some' is not allowed; allowed: a whole number from 1 to 100000", "up", "--slots", "some")]
    [InlineData("skein: --tokens-per-second is for the embedded engine and for the simulated engine; allowed with --engine http://127.0.0.1:1: nothing", "up", "--engine", "http://127.0.0.1:1", "--tokens-per-second", "5")]
    [InlineData("skein: --revision is missing; allowed: 1 to 128 letters, digits and . _ - + : / @, the first a letter or digit", "rollout")]
    [InlineData("skein: --revision '$(x)' is not allowed; allowed: 1 to 128 letters, digits and . _ - + : / @, the first a letter or digit", "rollout", "--revision", "$(x)")]
    [InlineData("skein: --command 'restart' does not say which replica; allowed: a command with {name} in it", "rollout", "--revision", "r2", "--command", "restart")]
    [InlineData("skein: --grace '-1s' is not allowed; allowed: a time such as 500ms, 2s or 10m, to 24h", "drain", "replica-1", "--grace", "-1s")]
    [InlineData("skein: --join 'a,,b' is not allowed; allowed: host:port, [ipv6]:port or host; at most 64, joined by commas", "replica", "--engine", "simulated", "--grpc", "0", "--gossip", "0", "--join", "a,,b")]
    [InlineData("skein: --join 'a:x' is not allowed; allowed: host:port, [ipv6]:port or host; at most 64, joined by commas", "replica", "--model", "/no/such.gguf", "--join", "a:x")]
    [InlineData("skein: --weight '0' is not allowed; allowed: a number from 0.001 to 1000", "replica", "--model", "/no/such.gguf", "--weight", "0")]
    [InlineData("skein: --name 'a b' is not allowed; allowed: 1 to 64 printable ASCII characters without spaces", "gateway", "--name", "a b")]
    [InlineData("skein: --queue-timeout '5' is not allowed; allowed: a time such as 500ms, 2s or 10m, from 1ms to 1h", "gateway", "--queue-timeout", "5")]
    [InlineData("skein: the message is empty; allowed: a text", "chat", " ")]
    [InlineData("skein: --queue-timeout '0' is not allowed; allowed: a time such as 500ms, 2s or 10m, from 1ms to 1h", "gateway", "--queue-timeout", "0")]
    [InlineData("skein: --breaker-rate '0' is not allowed; allowed: above 0, to 1", "gateway", "--breaker-rate", "0")]
    [InlineData("skein: --breaker-rate 'NaN' is not allowed; allowed: above 0, to 1", "gateway", "--breaker-rate", "NaN")]
    [InlineData("skein: --breaker-window '900ms' is not allowed; allowed: a time such as 500ms, 2s or 10m, from 1s to 10m", "gateway", "--breaker-window", "900ms")]
    [InlineData("skein: --breaker-longest-open '4s' is not allowed; allowed: from 5s, as --breaker-open", "gateway", "--breaker-longest-open", "4s")]
    [InlineData("skein: --breaker-failures '0' is not allowed; allowed: a whole number from 1 to 1000", "gateway", "--breaker-failures", "0")]
    [InlineData("skein: --slow-start '11m' is not allowed; allowed: a time such as 500ms, 2s or 10m, to 10m", "gateway", "--slow-start", "11m")]
    [InlineData("skein: --slow-start-share '0' is not allowed; allowed: above 0, to 1", "gateway", "--slow-start-share", "0")]
    [InlineData("skein: --max-body-memory '16MiB' is not allowed; allowed: a size such as 65536, 512KiB, 32MiB or 1GiB, from 32MiB to 1TiB", "gateway", "--max-body-memory", "16MiB")]
    [InlineData("skein: --engine-timeout '299ms' is not allowed; allowed: a time such as 500ms, 2s or 10m, from 300ms to 1h", "gateway", "--engine-timeout", "299ms")]
    [InlineData("skein: --engine-timeout '100ms' is not allowed; allowed: a time such as 500ms, 2s or 10m, from 300ms to 1h", "replica", "--engine", "http://127.0.0.1:1", "--engine-timeout", "100ms")]
    [InlineData("skein: --engine-patience '299ms' is not allowed; allowed: a time such as 500ms, 2s or 10m, from 300ms to 1h", "gateway", "--engine-patience", "299ms")]
    [InlineData("skein: --calm '2h' is not allowed; allowed: a time such as 500ms, 2s or 10m, to 1h", "rollout", "--revision", "r2", "--calm", "2h")]
    [InlineData("skein: --profile 'slow' is not allowed; allowed: lan, fast, wan", "simulate", "membership", "--scenario", "join", "--profile", "slow")]
    [InlineData("skein: --engine-timeout is for servers; allowed with --engine embedded: nothing", "replica", "--engine-timeout", "3s")]
    [InlineData("skein: --engine http://127.0.0.1:1/?a=b: BaseUrl is http://127.0.0.1:1/?a=b; allowed: an http or https URL without user name, query and fragment", "up", "--engine", "http://127.0.0.1:1/?a=b")]
    [InlineData("skein: --engine-kind is for servers; allowed with --engine simulated: nothing", "up", "--engine", "simulated", "--engine-kind", "vllm")]
    [InlineData("skein: --engine-fingerprint 'é' is not allowed; allowed: 1 to 128 printable ASCII characters", "gateway", "--upstream", "http://127.0.0.1:1", "--engine-fingerprint", "é")]
    [InlineData("skein: --engine-chat-call 'yes' is not allowed; allowed: true or false", "replica", "--engine", "http://127.0.0.1:1", "--engine-chat-call", "yes")]
    [InlineData("skein: --engine-silence '0s' is not allowed; allowed: a time such as 500ms, 2s or 10m, from 1s to 1h", "replica", "--engine", "http://127.0.0.1:1", "--engine-silence", "0s")]
    [InlineData("skein: --link-stall '100ms' is not allowed; allowed: a time such as 500ms, 2s or 10m, from 300ms to 1m", "gateway", "--link-stall", "100ms")]
    [InlineData("skein: --first-token-stall '2h' is not allowed; allowed: a time such as 500ms, 2s or 10m, from 1s to 1h", "gateway", "--first-token-stall", "2h")]
    [InlineData("skein: --straggler-factor '0.5' is not allowed; allowed: 0, or a number from 1 to 1000", "gateway", "--straggler-factor", "0.5")]
    [InlineData("skein: --hedge-share '1.1' is not allowed; allowed: a number from 0 to 1", "gateway", "--hedge-share", "1.1")]
    [InlineData("skein: --allowed-hosts 'http://x' is not allowed; allowed: host names without port, or *; at most 64, joined by commas", "gateway", "--allowed-hosts", "http://x")]
    [InlineData("skein: --bind 10.0.0.1 opens this member to the network without protection; missing: --tls-cert and --tls-key, --link-key-file, --gossip-key-file; allowed: these flags, a loopback address, or --insecure", "replica", "--engine", "simulated", "--bind", "10.0.0.1")]
    [InlineData("skein: --bind 10.0.0.1 opens this member to the network without protection; missing: --tls-cert and --tls-key, --api-key-file, --gossip-key-file; allowed: these flags, a loopback address, or --insecure", "gateway", "--bind", "10.0.0.1")]
    [InlineData("skein: --tls-dev makes a certificate, and --tls-cert and --tls-key name one; allowed: one of both", "gateway", "--tls-dev", "--tls-cert", "a", "--tls-key", "b")]
    [InlineData("skein: --link-ca /dev/null contains no certificate; allowed: a PEM file with at least one", "gateway", "--link-ca", "/dev/null")]
    [InlineData("skein: --link-key-file /dev/null: it has 0 keys; allowed: 1 to 16, one per line", "replica", "--link-key-file", "/dev/null")]
    public async Task Run_WrongValue_ExitsWith2AndOneLine(string message, params string[] arguments)
    {
        using var error = new StringWriter();

        var exitCode = await CommandLine.RunAsync(SkeinCommand.Create(), arguments, error);

        Assert.Equal((2, message), (exitCode, error.ToString().TrimEnd('\n')));
    }

    [Fact]
    public Task Run_UnknownPolicy_NamesEveryBuiltInOne() => Run_WrongValue_ExitsWith2AndOneLine(
        $"skein: --policy 'best' is not allowed; allowed: {string.Join(", ", BalancingPolicies.BuiltIn.Select(policy => policy.Name).Order(StringComparer.Ordinal))}",
        "gateway", "--policy", "best");

    /// <summary>It said that it was simulating before it refused the name.</summary>
    [Fact]
    public Task Run_UnknownScenario_NamesEveryScenario() => Run_WrongValue_ExitsWith2AndOneLine(
        $"skein: --scenario 'foo' is not allowed; allowed: {string.Join(", ", MembershipScenarios.All.Select(scenario => scenario.Name))}",
        "simulate", "membership", "--scenario", "foo");

    [Fact]
    public async Task Run_UnknownServerKind_NamesWhatIsAllowed()
    {
        using var error = new StringWriter();

        var exitCode = await CommandLine.RunAsync(
            SkeinCommand.Create(), ["replica", "--engine", "http://127.0.0.1:1", "--engine-kind", "tgi"], error);

        Assert.Equal(2, exitCode);
        Assert.StartsWith("skein: --engine-kind 'tgi' is not allowed; allowed: auto, ", error.ToString());
    }

    [Fact]
    public async Task Run_UnknownFlag_NamesItAndTheHelp()
    {
        using var error = new StringWriter();

        var exitCode = await CommandLine.RunAsync(SkeinCommand.Create(), ["status", "--colour", "red"], error);

        Assert.Equal(2, exitCode);
        Assert.Contains("'--colour'", error.ToString(), StringComparison.Ordinal);
        Assert.EndsWith("See 'skein status --help'.\n", error.ToString());
    }

    [Theory]
    [InlineData("skein: 'stauts' is not a verb. Did you mean 'status'? See 'skein --help'.", "stauts")]
    [InlineData("skein: 'frobnicate' is not a verb. See 'skein --help'.", "frobnicate", "--now")]
    [InlineData("skein: 'membrship' is not a verb. Did you mean 'membership'? See 'skein simulate --help'.", "simulate", "membrship")]
    [InlineData("skein: a verb must come before '--stdin'; allowed: new, list, add, use, remove. See 'skein gossip-keys --help'.", "gossip-keys", "--stdin")]
    [InlineData("skein: 'ad' is not a verb. Did you mean 'add'? See 'skein gossip-keys --help'.", "gossip-keys", "ad", "file")]
    [InlineData("skein: Unrecognized command or argument '--jsno'. Did you mean '--json'? See 'skein status --help'.", "status", "--jsno")]
    public async Task Run_MisspeltWord_SuggestsTheRightOne(string message, params string[] arguments)
    {
        using var error = new StringWriter();

        var exitCode = await CommandLine.RunAsync(SkeinCommand.Create(), arguments, error);

        Assert.Equal((2, message), (exitCode, error.ToString().TrimEnd('\n')));
    }

    [Fact]
    public async Task WarnOfMisspeltVariables_NamesThemAndWhatWasMeant()
    {
        using var error = new StringWriter();
        var environment = new Hashtable
        {
            ["SKEIN_QUEUE_LENGHT"] = "1", ["SKEIN_QUEUE_TIMEOUT"] = "1s", ["SKEIN_ENGINE_KEY"] = "secret", ["SKEIN_SOMETHING_ELSE"] = "1", ["PATH"] = "/",
        };

        await CommandLine.WarnOfMisspeltVariablesAsync(SkeinCommand.Create(), environment, error);

        Assert.Equal("skein: the variable SKEIN_QUEUE_LENGHT is not a setting and is ignored; did you mean SKEIN_QUEUE_LENGTH?\n", error.ToString());
    }

    [Fact]
    public async Task Help_ShowsNoValueOfSwitches_ListsFixedWords_HidesFormerNames()
    {
        Assert.DoesNotContain("--calm", await HelpAsync("rollout"), StringComparison.Ordinal);
        Assert.Matches(@"(?m)^\s+--watch\s+Refresh", await HelpAsync("status"));
        Assert.Contains("--log <debug|information|warning|error>", await HelpAsync("gateway"), StringComparison.Ordinal);
        // The list is cut at the end of a line.
        var names = string.Concat((await HelpAsync("gateway")).Split('\n').SkipWhile(line => !line.Contains("--policy", StringComparison.Ordinal)).Take(6)
            .Select(line => line[..Math.Min(line.Length, 50)].Trim()));
        Assert.All(BalancingPolicies.BuiltIn, policy => Assert.Contains(policy.Name, names, StringComparison.Ordinal));
        Assert.Contains("kill, freeze, slow, drain, restart, upgrade, loss, cut", string.Join(' ', (await HelpAsync("chaos")).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);

        static async Task<string> HelpAsync(string verb)
        {
            using var output = new StringWriter();
            await SkeinCommand.Create().Parse([verb, "--help"]).InvokeAsync(new InvocationConfiguration { Output = output }, TestContext.Current.CancellationToken);
            return output.ToString();
        }
    }

    [Fact]
    public async Task Run_NobodyThere_ExitsWith1AndSaysWhatToDo()
    {
        using var error = new StringWriter();

        // Port 1 of this machine: privileged, and nobody's.
        var exitCode = await CommandLine.RunAsync(SkeinCommand.Create(), ["status", "--gateway", "http://127.0.0.1:1"], error);

        Assert.Equal(1, exitCode);
        Assert.Equal(
            "skein: no gateway answers at http://127.0.0.1:1/ (ConnectionRefused); start one with 'skein up', or name another with --gateway\n",
            error.ToString());
    }

    private static async Task<(int ExitCode, string Errors)> RunHelpAsync(string[] arguments, StringWriter output)
    {
        using var errors = new StringWriter();
        return (await CommandLine.RunAsync(SkeinCommand.Create(), arguments, errors, output), errors.ToString());
    }
}
