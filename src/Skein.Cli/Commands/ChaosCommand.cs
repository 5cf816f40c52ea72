using System.CommandLine;
using System.Globalization;
using Skein.Operations.Chaos;
using Skein.Operations.Fleet;
using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Operations.Supervision;
using Skein.Load;
using Skein.Load.Chaos;
using Skein.Load.Chaos.Network;
using Spectre.Console;

namespace Skein.Cli.Commands;

/// <summary><c>skein chaos</c>: a cluster of its own, constant load, and one fault after the other.</summary>
internal static class ChaosCommand
{
    private static readonly Setting<TimeSpan> Duration = Setting.Duration("duration", "How long faults are injected [default: 2m]", TimeSpan.FromMinutes(2), TimeSpan.FromDays(7));
    private static readonly Setting<int> Seed = Setting.Number("seed", "Decides which faults happen to whom [default: 1]", 1, 0, int.MaxValue);
    private static readonly Setting<int> Streams = Setting.Number("streams", "Streams at any moment [default: 60]", 60, 1, 20_000);
    private static readonly Setting<int> Replicas = Setting.Number("replicas", "Replicas; two are always left alone [default: 5]", 5, 3, 64);
    private static readonly Setting<string> Engine = new(
        "engine", "engine", "simulated or embedded [default: simulated]", "simulated, embedded", "simulated",
        (string text, out string read) => (read = text) is "simulated" or "embedded");

    private static readonly Setting<int> TokensPerSecond = Setting.Number("tokens-per-second", "Speed of each stream [default: 50]", 50, 1, 10_000);
    private static readonly Setting<int> MaxTokens = Setting.Number("max-tokens", "Length of an answer [default: 100]", 100, 1, 100_000);
    private static readonly Setting<TimeSpan> FaultEvery = Setting.Duration("fault-every", "Time from one fault to the next [default: 1s]", TimeSpan.FromSeconds(1), TimeSpan.FromHours(1));
    private static readonly Setting<IReadOnlyList<FaultKind>> Faults = new(
        "faults", "list", "Kinds of faults; loss and cut need the right to make networks [default: all that can happen here]", string.Join(", ", Enum.GetValues<FaultKind>().Select(ChaosRun.Word)), Enum.GetValues<FaultKind>(), TryReadKinds);

    private static readonly Setting<bool> Json = Setting.Flag("json", "Print JSON");
    private static readonly Setting<bool> Moved = Setting.Flag("in-own-network", "This process runs in a network of its own").Hidden();

    public static Command Create() => CommandLine.Verb(
        "chaos",
        "Start a cluster, harm its replicas under load, and check every token; exits 1 unless every stream was whole and exact",
        [Duration, Seed, Streams, Replicas, Engine, TokensPerSecond, MaxTokens, FaultEvery, Faults, Json, Moved],
        RunAsync);

    private static async Task<int> RunAsync(SettingSources sources)
    {
        using var signal = new StopSignal(supervised: false);
        var kinds = await PossibleAsync(sources, signal.Stop);
        var specs = Specs(sources);
        var seed = Seed.Read(sources);
        using var cable = await ChaosNetwork.ConnectAsync(kinds, specs.Count, seed);
        using var cluster = new LocalCluster(ChaosNetwork.Place(specs, cable), TimeSpan.FromMilliseconds(500), TimeProvider.System, _ => { });
        try
        {
            await ClusterStart.RunAsync(cluster, signal.Stop);
            var gateway = cluster.Members[0].LastReady!;
            using var client = new GatewayClient(new Uri($"http://{gateway.Http}"));
            var options = new ChaosOptions
            {
                // Half of the clients as most are, half of them where token indexes can be checked.
                Targets = [new Uri($"http://{gateway.Http}"), new Uri($"grpc://{gateway.Grpc}")],
                Duration = Duration.Read(sources),
                Seed = seed,
                Streams = Streams.Read(sources),
                MaxTokens = MaxTokens.Read(sources),
                FaultEvery = FaultEvery.Read(sources),
                Kinds = kinds,
            };
            var report = await ChaosRun.RunAsync(
                options, new FaultInjector(cluster, cable, new FleetClient(client), TimeProvider.System), TimeProvider.System, Tell, signal.Stop);
            var shortfall = Shortfall(report, options);
            if (Json.Read(sources))
                await Console.Out.WriteLineAsync(report.ToJson());
            else
                Print(report);
            if (shortfall is not null)
                throw new CommandFailedException(shortfall);
            return report.IsClean ? CommandLine.Success : CommandLine.Failure;
        }
        catch (Exception error) when (error is BenchException or ChaosException or MemberFailedException)
        {
            throw new CommandFailedException(error.Message, error);
        }
        catch (OperationCanceledException)
        {
            throw new CommandFailedException("stopped before the end: nothing to report");
        }
        finally
        {
            await cluster.StopAsync(signal.AtOnce);
        }
    }

    /// <summary>The faults that can happen here. Faults that lose packets need this process in a network of its own: it restarts there.</summary>
    /// <exception cref="UsageException">Faults that were asked for are not possible here.</exception>
    private static async Task<IReadOnlyList<FaultKind>> PossibleAsync(SettingSources sources, CancellationToken cancellationToken)
    {
        var kinds = Faults.Read(sources);
        if (!kinds.Any(OwnNetwork.IsNeededFor) || Moved.Read(sources))
            return kinds;
        var problem = await ChaosNetwork.EnterAsync([Moved.Option.Name, "true"], cancellationToken);
        if (sources.Find(Faults) is { } given)
        {
            var others = string.Join(", ", Enum.GetValues<FaultKind>().Where(kind => !OwnNetwork.IsNeededFor(kind)).Select(ChaosRun.Word));
            throw new UsageException($"{given.Place} '{given.Value}' is not possible: {problem}; allowed here: {others}");
        }
        await Console.Error.WriteLineAsync($"without {string.Join(" and ", kinds.Where(OwnNetwork.IsNeededFor).Select(ChaosRun.Word))}: {problem}");
        return [.. kinds.Where(kind => !OwnNetwork.IsNeededFor(kind))];
    }

    private static List<MemberSpec> Specs(SettingSources sources)
    {
        var replicas = Replicas.Read(sources);
        string[] common = ["--grace", "3s", "--log", "error"];
        // Two replicas must be able to serve everybody.
        var slots = Math.Max(8, Streams.Read(sources)).ToString(CultureInfo.InvariantCulture);
        var speed = TokensPerSecond.Read(sources).ToString(CultureInfo.InvariantCulture);
        return
        [
            new MemberSpec("gateway-1", "gateway", ["--http", "0", "--grpc", "0", "--expected-replicas", replicas.ToString(CultureInfo.InvariantCulture), .. common]),
            .. Enumerable.Range(1, replicas).Select(i => new MemberSpec(
                $"replica-{i}", "replica", ["--engine", Engine.Read(sources), "--grpc", "0", "--slots", slots, "--tokens-per-second", speed, .. common])),
        ];
    }

    private static void Tell(Fault fault)
    {
        var duration = fault.Kind is FaultKind.Freeze or FaultKind.Slow or FaultKind.Loss or FaultKind.Cut ? string.Create(CultureInfo.InvariantCulture, $" for {fault.Duration.TotalSeconds:0.0} s") : "";
        Console.Error.WriteLine($"  {ChaosRun.Word(fault.Kind)} {fault.Replica}{duration}");
    }

    /// <summary>Why the run proves too little; null when it does not.</summary>
    private static string? Shortfall(ChaosReport report, ChaosOptions options)
    {
        var leastFaults = Math.Max(1, (int)(options.Duration / options.FaultEvery / 5));
        return report.FaultCount < leastFaults ? $"too few faults to prove anything: {report.FaultCount}, at least {leastFaults} were to happen"
            : report.Failovers < report.FaultCount ? $"too few failovers to prove anything: {report.Failovers} by {report.FaultCount} faults; ask for more streams or longer answers"
            : report.PacketsLost == 0 && options.Kinds.Any(OwnNetwork.IsNeededFor) ? "no packet was lost"
            : null;
    }

    private static void Print(ChaosReport report)
    {
        var table = new Table().Border(TableBorder.Simple).HideHeaders().AddColumn("figure").AddColumn("value");
        void Row(string figure, FormattableString value) => table.AddRow(Markup.Escape(figure), Markup.Escape(value.ToString(CultureInfo.InvariantCulture)));
        void Times(string figure, LatencySummary ms) => Row(figure, $"p50 {ms.P50:0.#} ms, p99 {ms.P99:0.#}, max {ms.Max:0.#}");

        Row("streams", $"{report.Streams}, {report.Tokens} tokens, in {report.DurationSeconds:0} s, seed {report.Seed}");
        Row("faults", $"{report.FaultCount}: {string.Join(", ", report.Faults.Select(fault => $"{fault.Key} {fault.Value}"))}");
        Row("packets lost", $"{report.PacketsLost}");
        Row("failovers", $"{report.Failovers} in {report.StreamsFailedOver} streams");
        Row("lost", $"{report.Lost}");
        Row("duplicated", $"{report.Duplicated}");
        Row("diverged", $"{report.Diverged}");
        Row("errored", $"{report.Errored}");
        foreach ((var kind, var count) in report.Errors)
            Row($"  {kind}", $"{count}");
        Times("gap between tokens", report.GapMs);
        Times("gap at a failover", report.FailoverGapMs);
        Times("longest gap of streams that failed over", report.LongestGapMs);
        foreach (var example in report.Examples)
            Row("  for example", $"{example}");
        AnsiConsole.Write(table);
    }

    private static bool TryReadKinds(string text, out IReadOnlyList<FaultKind> kinds)
    {
        var read = new List<FaultKind>();
        foreach (var word in text.Split(',', StringSplitOptions.TrimEntries))
        {
            var index = Array.FindIndex(Enum.GetValues<FaultKind>(), kind => ChaosRun.Word(kind) == word);
            if (index >= 0)
                read.Add(Enum.GetValues<FaultKind>()[index]);
        }
        kinds = read;
        return read.Count == text.Split(',').Length;
    }
}
