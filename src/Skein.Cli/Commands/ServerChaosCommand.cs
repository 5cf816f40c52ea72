using Skein.Cli.Members;
using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Cli.Upstreams;
using Skein.Load;
using Skein.Load.Chaos;
using Skein.Load.Chaos.Servers;
using Skein.Operations.Chaos;
using Skein.Operations.Fleet;
using Skein.Operations.Supervision;
using Spectre.Console;

namespace Skein.Cli.Commands;

/// <summary><c>skein chaos --upstream</c> and <c>--server-command</c>: faults of model servers behind a gateway.</summary>
internal static class ServerChaosCommand
{
    private const int MostServers = 16;

    private static readonly Setting<IReadOnlyList<Uri>> Upstreams = new Setting<IReadOnlyList<Uri>>(
        "upstream", "url",
        "Servers of your own to test instead of a cluster, at least two with the same model; their connections are cut and held",
        $"2 to {MostServers} http:// or https:// addresses without user name, query and fragment, each of another host and port", [], TryReadUrls,
        repeatable: true).Of("chaos");

    private static readonly Setting<string?> RestartCommand = Setting.Text(
        "restart-command", "command", "Restarts one of --upstream, which is {url}, {host} and {port} in it; run without a shell, within 2 minutes");

    private static readonly Setting<string?> Command = Setting.Text(
        "server-command", "command",
        "Starts a server on {port} of 127.0.0.1, to be killed, frozen and restarted; the command must be the server itself; run without a shell");

    private static readonly Setting<int> Servers = Setting.Number("servers", "Servers to start with --server-command [default: 2]", 2, 2, MostServers);

    private static readonly Setting<int> MaxFaults = Setting.Number(
        "max-faults", "Number of faults in mid-answer after which the run ends, also before --duration [default: 1000000]", 1_000_000, 1, 1_000_000);

    private static readonly Setting<int> Questions = Setting.Number("questions", "Questions of each kind of request [default: 4]", 4, 1, 100);

    private static readonly Setting<IReadOnlyList<QuestionKind>> Requests = new Setting<IReadOnlyList<QuestionKind>>(
        "requests", "list", $"Kinds of requests: {Names(QuestionKind.All)} [default: all]", Names(QuestionKind.All), QuestionKind.All,
        TryReadRequests).Of("chaos");

    private static readonly Setting<bool> Inexact = Setting.Flag("inexact", "Count greedy answers that differ, but pass: the servers do not repeat themselves");

    private static readonly Setting<IReadOnlyDictionary<string, JsonElement>> Extra = new Setting<IReadOnlyDictionary<string, JsonElement>>(
        "extra", "json", "Additional members of every request, as a JSON object [default: none]",
        $"a JSON object without {string.Join(", ", BenchOptions.OwnMembers)}", new Dictionary<string, JsonElement>(), BenchCommand.TryReadMembers).Of("chaos");

    /// <summary>The settings of this form of the verb.</summary>
    public static IReadOnlyList<ISetting> Settings { get; } =
        [Upstreams, RestartCommand, Command, Servers, MaxFaults, Questions, Requests, Extra, Inexact, .. EngineSettings.OfServers];

    public static bool IsAsked(SettingSources sources) => Upstreams.IsSet(sources) || Command.IsSet(sources);

    /// <summary>Runs this form. The address of the gateway is set here.</summary>
    /// <param name="kinds">Kinds of faults; null: all that are possible.</param>
    /// <param name="faultsFlag">Flag of the kinds, for messages.</param>
    /// <exception cref="UsageException">A setting is not allowed.</exception>
    public static async Task<int> RunAsync(SettingSources sources, ServerChaosOptions options, IReadOnlyList<FaultKind>? kinds, string faultsFlag)
    {
        using var signal = new StopSignal(supervised: false);
        options = options with
        {
            MaxFaults = MaxFaults.Read(sources), Questions = Questions.Read(sources), Requests = Requests.Read(sources), Extra = Extra.Read(sources),
            IsInexact = Inexact.Read(sources), Kinds = kinds,
        };
        if (Upstreams.IsSet(sources) && Command.IsSet(sources))
            throw new UsageException($"{Command.Option.Name} is given beside {Upstreams.Option.Name}; allowed: one of them");
        if (RestartCommand.IsSet(sources) && !Upstreams.IsSet(sources))
            throw new UsageException($"{RestartCommand.Option.Name} is for {Upstreams.Option.Name}; allowed without it: nothing");
        var servers = new List<IFaultyServer>();
        try
        {
            servers.AddRange(ServersOf(sources));
            var possible = servers.SelectMany(server => server.Kinds).Distinct().Order().ToList();
            if (possible.Count == 0)
                throw new UsageException($"{Upstreams.Option.Name} without http:// address is allowed with {RestartCommand.Option.Name}: TLS is not cut");
            foreach (var kind in (kinds ?? []).Where(kind => !possible.Contains(kind)))
                throw new UsageException($"{faultsFlag} '{ChaosRun.NameOf(kind)}' is not possible for these servers; allowed: {Names(possible)}");
            return await RunAsync(sources, options, servers, signal);
        }
        catch (ArgumentException error)
        {
            throw new UsageException(error.Message);
        }
        catch (Exception error) when (error is BenchException or ChaosException or MemberFailedException)
        {
            throw new CommandFailedException(error.Message, error);
        }
        catch (OperationCanceledException)
        {
            throw new CommandFailedException("stopped before the end: there is no report");
        }
        finally
        {
            foreach (var server in servers)
                await server.DisposeAsync();
        }
    }

    private static async Task<int> RunAsync(SettingSources sources, ServerChaosOptions options, List<IFaultyServer> servers, StopSignal signal)
    {
        var urls = string.Join(',', servers.Select(server => server.Url));
        string[] flags = ["--http", "0", "--grpc", "0", "--grace", "3s", "--log", "error", "--expected-replicas", "0", "--upstream", urls];
        var given = EngineSettings.OfServers.SelectMany(
            setting => sources.Find(setting) is { } found ? new[] { setting.Option.Name, found.Value } : []);
        var spec = new MemberSpec("gateway-1", "gateway", [.. flags, .. given]);
        using var cluster = new LocalCluster([spec], TimeSpan.FromMilliseconds(500), TimeProvider.System, Console.Error.WriteLine, options.Tls);
        try
        {
            await UpCommand.StartAsync(cluster, signal.Stop);
            var address = cluster.Members[0].LastReady!.HttpUrl;
            using var gateway = new GatewayClient(address, options.Key, options.Tls);
            using var target = new ChaosServers(servers, gateway, TimeProvider.System);
            await target.StartAsync(signal.Stop);
            var run = new ServerChaosRun(options with { Gateway = address }, target, TimeProvider.System, PrintFault);
            var report = await run.RunAsync(signal.Stop);
            CommandOutput.Print(sources, report, () => Print(report), indented: true);
            return report.IsPassed ? CommandLine.Success : CommandLine.Failure;
        }
        finally
        {
            await cluster.StopAsync(signal.AtOnce);
        }
    }

    private static IEnumerable<IFaultyServer> ServersOf(SettingSources sources)
    {
        if (Command.Read(sources) is { } text)
        {
            var command = ServerCommand.Parse(Command.Option.Name, text, "{port}");
            for (var i = 0; i < Servers.Read(sources); i++)
                yield return ServerProcess.Start(command, TimeProvider.System);
            yield break;
        }

        var restart = RestartCommand.Read(sources) is { } restartText
            ? ServerCommand.Parse(RestartCommand.Option.Name, restartText, "{url}", "{host}", "{port}")
            : null;
        foreach (var url in Upstreams.Read(sources))
            yield return new OutsideServer(url, restart, Console.Error.WriteLine, TimeProvider.System);
    }

    private static void PrintFault(InjectedFault fault) => Console.Error.WriteLine(fault.Kind is FaultKind.Freeze or FaultKind.Cut
        ? string.Create(CultureInfo.InvariantCulture, $"  {ChaosRun.NameOf(fault.Kind)} {fault.Replica} for {fault.Duration.TotalSeconds:0.0} s")
        : $"  {ChaosRun.NameOf(fault.Kind)} {fault.Replica}");

    private static void Print(ServerChaosReport report)
    {
        string[] faults = [.. report.Faults.Keys];
        var table = new Table().Border(TableBorder.None);
        foreach (var column in (string[])["REQUEST", "TIER", .. faults.Select(fault => fault.ToUpperInvariant()), "LOST", "EQUAL", "DIFFER", "ERRORS"])
            table.AddColumn(new TableColumn(column) { NoWrap = true, Padding = new Padding(0, 0, 1, 0) });
        foreach (var row in report.Rows)
        {
            IEnumerable<int> all = [.. faults.Select(fault => row.LostBy.GetValueOrDefault(fault)), row.Lost, row.Equal, row.Differ, row.Errors];
            string[] counts = [.. all.Select(count => count.ToString(CultureInfo.InvariantCulture))];
            table.AddRow([row.Request, row.Tier, .. counts]);
        }

        Console.WriteLine();
        AnsiConsole.Write(table);
        Console.WriteLine();
        // In lines of their own: the table would be wider than a terminal.
        foreach (var row in report.Rows.Where(row => row.Remark.Length > 0))
            Console.WriteLine($"{row.Request}, {row.Tier}: {row.Remark}");
        var figures = new FigureTable();
        figures.Add("faults in mid-answer", $"{Counts(report.Faults)}");
        figures.Add("faults by which no answer was lost", $"{Counts(report.FaultsInVain)}");
        figures.Add("run", $"model {report.Model}, {report.DurationSeconds:0} s, seed {report.Seed}");
        figures.Add("answers that lost their server before their first token", $"{report.Early}, of which {report.EarlyDiffer} differ");
        figures.Add("answers that kept their server", $"{report.Undisturbed}, of which {report.UndisturbedDiffer} differ");
        figures.Add("longest gap of answers that lost it", report.LongestGapMs);
        figures.Print();
        foreach (var example in report.Examples)
            Console.WriteLine(example);
        Console.WriteLine(report.IsPassed ? "PASS" : $"FAIL: {string.Join("; ", report.Failures)}");
    }

    private static string Counts(IReadOnlyDictionary<string, int> faults) =>
        faults.Count == 0 ? "0" : $"{faults.Values.Sum()}: {string.Join(", ", faults.Select(fault => $"{fault.Key} {fault.Value}"))}";

    private static string Names(IEnumerable<QuestionKind> kinds) => string.Join(", ", kinds.Select(kind => kind.Name));

    private static string Names(IEnumerable<FaultKind> kinds) => string.Join(", ", kinds.Select(ChaosRun.NameOf));

    private static bool TryReadUrls(string text, out IReadOnlyList<Uri> urls) =>
        UpstreamSettings.TryRead(text, out urls) && urls.Count is >= 2 and <= MostServers;

    private static bool TryReadRequests(string text, out IReadOnlyList<QuestionKind> kinds)
    {
        var words = text.Split(',', StringSplitOptions.TrimEntries);
        kinds = [.. QuestionKind.All.Where(kind => words.Contains(kind.Name))];
        return words.All(word => QuestionKind.All.Any(kind => kind.Name == word));
    }
}
