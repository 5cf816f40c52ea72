using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Engines;
using Skein.Engines.Simulated;
using Skein.Load;
using Skein.Load.Chaos;
using Skein.Load.Chaos.Network;
using Skein.Load.Chaos.Servers;
using Skein.Operations.Chaos;
using Skein.Operations.Fleet;

namespace Skein.Cli.Commands;

/// <summary><c>skein chaos</c>: a cluster of its own, or model servers behind a gateway, load, and one fault after the other.</summary>
internal static class ChaosCommand
{
    private static readonly FaultKind[] AllKinds = Enum.GetValues<FaultKind>();

    private static readonly Setting<TimeSpan> Duration = Setting.Duration(
        "duration", "Duration of the fault injection [default: 2m]", TimeSpan.FromMinutes(2), TimeSpan.FromDays(7));

    private static readonly Setting<int> Seed = Setting.Number("seed", "Seed of the sequence of faults [default: 1]", 1, 0, int.MaxValue);
    private static readonly Setting<int?> Streams = Setting.OptionalNumber(
        "streams", "Concurrent streams [default: 60; with model servers 4, at most 256]", 1, 20_000);

    private static readonly Setting<int> Replicas = Setting.Number(
        "replicas", "Number of replicas, two of which are healthy at any time [default: 5]", 5, 3, 64);

    // Every stream has a pace: only engines with that setting can be used.
    private static readonly Setting<string> Engine = Setting.Word(
        "engine", $"Engine of the replicas [default: {SimulatedEngineFactory.Kind}]", SimulatedEngineFactory.Kind,
        EngineFactories.All.Where(factory => factory.Settings.Contains(EngineSetting.TokensPerSecond)).Select(factory => factory.Allowed));

    private static readonly Setting<int> TokensPerSecond = Setting.Number("tokens-per-second", "Pace of each stream [default: 50]", 50, 1, 10_000);
    private static readonly Setting<int> MaxTokens = Setting.Number("max-tokens", "Maximum answer length in tokens [default: 100]", 100, 1, 100_000);
    private static readonly Setting<TimeSpan> FaultEvery = Setting.Duration(
        "fault-every", "Time between faults [default: 1s]", TimeSpan.FromSeconds(1), TimeSpan.FromHours(1));

    private static readonly Setting<IReadOnlyList<FaultKind>> Faults = new(
        "faults", "list", $"Kinds of faults: {Names(AllKinds)}; loss and cut need the right to create networks [default: all that are possible here]",
        Names(AllKinds), AllKinds, TryReadKinds);

    private static readonly Setting<bool> Moved = Setting.Flag("in-own-network", "This process runs in a network of its own").Hidden();

    public static Command Create() => CommandLine.Verb(
        "chaos",
        "Inject faults into the replicas of a cluster under load, or into model servers (--upstream, --server-command), and check every answer; "
        + "exits 1 unless every stream was complete and exact",
        [
            Duration, Seed, Streams, .. OfClusters, MaxTokens, Faults, .. ServerChaosCommand.Settings, .. GatewayConnection.Credentials,
            CommandOutput.Json, Moved,
        ],
        RunAsync);

    /// <summary>Settings that mean nothing for model servers.</summary>
    private static IReadOnlyList<ISetting> OfClusters => [Replicas, Engine, TokensPerSecond, FaultEvery];

    private static Task<int> RunAsync(SettingSources sources)
    {
        if (!ServerChaosCommand.IsAsked(sources))
        {
            Refuse(ServerChaosCommand.Settings, "for --upstream and --server-command");
            return RunOnClusterAsync(sources);
        }

        Refuse(OfClusters, "for a cluster");
        if (Streams.Read(sources) is > ServerChaosOptions.MostStreams and var streams)
            throw new UsageException($"--streams {streams} is not allowed with model servers; allowed: 1 to {ServerChaosOptions.MostStreams}");
        var options = new ServerChaosOptions
        {
            Gateway = new Uri("http://127.0.0.1"), Key = GatewayConnection.Key(sources), Tls = GatewayConnection.Tls(sources),
            Duration = Duration.Read(sources), Seed = Seed.Read(sources), MaxTokens = MaxTokens.Read(sources),
        };
        options = Streams.Read(sources) is { } given ? options with { Streams = given } : options;
        return ServerChaosCommand.RunAsync(sources, options, Faults.IsSet(sources) ? Faults.Read(sources) : null, Faults.Option.Name);

        void Refuse(IEnumerable<ISetting> settings, string purpose)
        {
            var flags = settings.Select(setting => sources.Find(setting) is var (_, origin) && origin == setting.Option.Name ? origin : null);
            if (flags.FirstOrDefault(flag => flag is not null) is { } wrong)
                throw new UsageException($"{wrong} is {purpose}; allowed here: nothing");
        }
    }

    private static async Task<int> RunOnClusterAsync(SettingSources sources)
    {
        using var signal = new StopSignal(supervised: false);
        var options = OptionsOf(sources);
        var specs = Specs(sources);
        options = options with { Kinds = await PossibleAsync(options.Kinds, sources, signal.Stop) };
        using var cable = await ChaosNetwork.ConnectAsync(options.Kinds, specs.Count, options.Seed);
        using var cluster = new LocalCluster(
            ChaosNetwork.Place(specs, cable), TimeSpan.FromMilliseconds(500), TimeProvider.System, _ => { }, options.Tls);
        try
        {
            await UpCommand.StartAsync(cluster, signal.Stop);
            var member = cluster.Members[0].LastReady!;
            using var gateway = new GatewayClient(member.HttpUrl, options.Key, options.Tls);
            // Half of the clients use HTTP, as most do; the other half use gRPC, which numbers the tokens.
            options = options with { Targets = [member.HttpUrl, member.GrpcUrl] };
            var target = new LocalChaosCluster(cluster, cable, gateway, TimeProvider.System);
            var report = await new ChaosRun(options, target, TimeProvider.System, PrintFault).RunAsync(signal.Stop);
            CommandOutput.Print(sources, report, () => Print(report), indented: true);
            if (Shortfall(report, options) is { } shortfall)
                throw new CommandFailedException(shortfall);
            return report.IsClean ? CommandLine.Success : CommandLine.Failure;
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
            await cluster.StopAsync(signal.AtOnce);
        }
    }

    private static int StreamsOfCluster(SettingSources sources) => Streams.Read(sources) ?? 60;

    private static ChaosOptions OptionsOf(SettingSources sources) => new()
    {
        Targets = [],
        Duration = Duration.Read(sources),
        Seed = Seed.Read(sources),
        Streams = StreamsOfCluster(sources),
        MaxTokens = MaxTokens.Read(sources),
        FaultEvery = FaultEvery.Read(sources),
        Kinds = Faults.Read(sources),
        Key = GatewayConnection.Key(sources),
        Tls = GatewayConnection.Tls(sources),
    };

    /// <summary>The faults that are possible here. Faults that lose packets need this process in a network of its own: it restarts there.</summary>
    private static async Task<IReadOnlyList<FaultKind>> PossibleAsync(
        IReadOnlyList<FaultKind> kinds, SettingSources sources, CancellationToken cancellationToken)
    {
        if (!kinds.Any(OwnNetwork.IsNeededFor) || Moved.Read(sources))
            return kinds;
        var problem = await ChaosNetwork.EnterAsync([Moved.Option.Name, "true"], cancellationToken);
        if (sources.Find(Faults) is { } given)
        {
            var allowed = Names(AllKinds.Where(kind => !OwnNetwork.IsNeededFor(kind)));
            throw new UsageException($"{given.Origin} '{given.Value}' is not possible: {problem}; allowed here: {allowed}");
        }
        await Console.Error.WriteLineAsync($"without {Names(kinds.Where(OwnNetwork.IsNeededFor))}: {problem}");
        return [.. kinds.Where(kind => !OwnNetwork.IsNeededFor(kind))];
    }

    private static List<MemberSpec> Specs(SettingSources sources)
    {
        var replicas = Replicas.Read(sources);
        string[] common = ["--grace", "3s", "--log", "error"];
        // Two replicas must be able to serve all streams.
        var slots = Math.Max(8, StreamsOfCluster(sources)).ToString(CultureInfo.InvariantCulture);
        var speed = TokensPerSecond.Read(sources).ToString(CultureInfo.InvariantCulture);
        string[] replica = ["--engine", Engine.Read(sources), "--grpc", "0", "--slots", slots, "--tokens-per-second", speed, .. common];
        return
        [
            new MemberSpec(
                "gateway-1", "gateway", ["--http", "0", "--grpc", "0", "--expected-replicas", replicas.ToString(CultureInfo.InvariantCulture), .. common]),
            .. Enumerable.Range(1, replicas).Select(i => new MemberSpec($"replica-{i}", "replica", replica)),
        ];
    }

    private static void PrintFault(InjectedFault fault)
    {
        var lasts = fault.Kind is FaultKind.Freeze or FaultKind.Slow or FaultKind.Loss or FaultKind.Cut;
        var duration = lasts ? string.Create(CultureInfo.InvariantCulture, $" for {fault.Duration.TotalSeconds:0.0} s") : "";
        Console.Error.WriteLine($"  {ChaosRun.NameOf(fault.Kind)} {fault.Replica}{duration}");
    }

    /// <summary>Why the run proves too little; null if it proves enough.</summary>
    private static string? Shortfall(ChaosReport report, ChaosOptions options)
    {
        var minFaults = Math.Max(1, (int)(options.Duration / options.FaultEvery / 5));
        if (report.FaultCount < minFaults)
            return $"too few faults to prove anything: {report.FaultCount}, at least {minFaults} were expected";
        if (report.Failovers < report.FaultCount)
            return $"too few failovers to prove anything: {report.Failovers} by {report.FaultCount} faults; use more streams or longer answers";
        return report.PacketsLost == 0 && options.Kinds.Any(OwnNetwork.IsNeededFor) ? "no packet was lost" : null;
    }

    private static string Verdict(ChaosReport report) => report.IsClean
        ? string.Create(
            CultureInfo.InvariantCulture, $"PASS  {report.Streams} streams, {report.Tokens:N0} tokens, {report.Failovers} failovers: every token identical")
        : $"FAIL  {report.Lost} lost, {report.Duplicated} duplicated, {report.Diverged} diverged, {report.Errored} errored of {report.Streams} streams";

    private static void Print(ChaosReport report)
    {
        var table = new FigureTable();
        table.Add("streams", $"{report.Streams}, {report.Tokens} tokens, in {report.DurationSeconds:0} s, seed {report.Seed}");
        table.Add("faults", $"{report.FaultCount}: {string.Join(", ", report.Faults.Select(fault => $"{fault.Key} {fault.Value}"))}");
        table.Add("packets lost", $"{report.PacketsLost}");
        table.Add("failovers", $"{report.Failovers} in {report.StreamsFailedOver} streams");
        table.Add("lost", $"{report.Lost}");
        table.Add("duplicated", $"{report.Duplicated}");
        table.Add("diverged", $"{report.Diverged}");
        table.Add("errored", $"{report.Errored}");
        table.AddErrors(report.Errors);
        table.Add("inter-token latency", report.GapMs);
        table.Add("gap at a failover", report.FailoverGapMs);
        table.Add("longest gap of streams with a failover", report.LongestGapMs);
        table.AddExamples(report.Examples);
        table.Print();
        Console.WriteLine(Verdict(report));
    }

    private static string Names(IEnumerable<FaultKind> kinds) => string.Join(", ", kinds.Select(ChaosRun.NameOf));

    private static bool TryReadKinds(string text, out IReadOnlyList<FaultKind> kinds)
    {
        var words = text.Split(',', StringSplitOptions.TrimEntries);
        kinds = [.. AllKinds.Where(kind => words.Contains(ChaosRun.NameOf(kind)))];
        return words.All(word => AllKinds.Any(kind => ChaosRun.NameOf(kind) == word));
    }
}
