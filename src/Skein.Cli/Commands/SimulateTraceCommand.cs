using System.Diagnostics;
using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Routing.Balancing;
using Skein.Simulation.Lab;
using Skein.Simulation.Traces;

namespace Skein.Cli.Commands;

/// <summary><c>skein simulate trace</c>: balancing policies side by side on a trace of requests.</summary>
internal static class SimulateTraceCommand
{
    private const string Verb = "simulate";
    private const string Synthetic = "synthetic";
    private static readonly EngineModel Model = new();

    private static readonly Argument<string> Trace = new("file")
    {
        Description = "Azure LLM inference trace (CSV) or Mooncake trace (JSON lines), or 'synthetic' to generate one",
    };

    private static readonly IReadOnlyList<string> KnownPolicies =
        [.. BalancingPolicies.BuiltIn.Select(policy => policy.Name).Concat(TraceLab.OwnPolicies).Order(StringComparer.Ordinal)];

    private static readonly Setting<IReadOnlyList<string>> Policies = Setting.List(
        "policy", "name", $"Policy to simulate, repeatable: {string.Join(", ", KnownPolicies)} [default: {BalancingPolicies.Default}]",
        string.Join(", ", KnownPolicies), 16, KnownPolicies.Contains).Of(Verb);

    private static readonly Setting<int> Replicas = Setting.Number("replicas", "Number of replicas [default: 4]", 4, 1, 1000).Of(Verb);
    private static readonly Setting<int> Gateways = Setting.Number("gateways", "Number of gateways [default: 1]", 1, 1, 64).Of(Verb);
    private static readonly Setting<IReadOnlyList<string>> Slots = Numbers(
        "slots", "Slots of the replicas, one by one and then from the front again [default: 32]",
        number => number is >= 1 and <= 100_000 && number % 1 == 0);

    private static readonly Setting<IReadOnlyList<string>> Speeds = Numbers(
        "speeds", "Speeds of the replicas [default: 1]", number => number is > 0 and <= 1000);
    private static readonly Setting<IReadOnlyList<string>> Weights = Numbers(
        "weights", "Balancing weights of the replicas [default: their speeds]", number => number is > 0 and <= 1000);

    private static readonly Setting<bool> MeasuredWeights = Setting.Flag(
        "measured-weights", "Gateways weigh replicas by their measured speed instead of --weights").Of(Verb);

    private static readonly Setting<double?> Load = Setting.OptionalReal(
        "load", "Demand relative to what all slots together can serve; scales the trace's times [default: the trace's own times]", 0.01, 100);

    private static readonly Setting<int?> Limit = Setting.OptionalNumber("limit", "Number of requests to use [default: all]", 1, int.MaxValue);
    private static readonly Setting<int> KvBlocks = Setting.Number(
        "kv-blocks", "Prefix cache of each replica, in blocks of 512 tokens [default: 0]", 0, 0, 100_000_000);

    private static readonly Setting<int> SharedBlocks = Setting.Number(
        "shared-blocks", "Blocks to put before every prompt, the same for all [default: 0]", 0, 0, 1000);

    private static readonly Setting<double> StepMs = Setting.Real(
        "step-ms", $"Milliseconds of a decoding step [default: {Model.StepMs}]", Model.StepMs, 0.001, 10_000);

    private static readonly Setting<double> SequenceMs = Setting.Real(
        "sequence-ms", "Milliseconds that each sequence adds to it [default: 0.4]", Model.SequenceMs, 0, 10_000);

    private static readonly Setting<double> PrefillRate = Setting.Real(
        "prefill-tokens-per-second", "Prompt tokens per second [default: 20000]", Model.PrefillTokensPerSecond, 1, 100_000_000);

    private static readonly Setting<int> Chunk = Setting.Number(
        "chunk-tokens", $"Most prompt tokens of one step [default: {Model.ChunkTokens}]", Model.ChunkTokens, 1, 10_000_000);

    private static readonly Setting<IReadOnlyList<string>> Faults = Setting.List(
        "faults", "fault", $"Faults: {LabFault.Allowed}", LabFault.Allowed, 1000, text => LabFault.Parse(text) is not null).Of(Verb);

    private static readonly Setting<int> QueueLength = Setting.Number(
        "queue-length", "Maximum queued requests per gateway [default: 512]", 512, 0, 1_000_000).Of(Verb);

    private static readonly Setting<TimeSpan> QueueTimeout = Setting.Duration(
        "queue-timeout", "Maximum wait for a slot [default: 60s]", TimeSpan.FromSeconds(60), TimeSpan.FromHours(1), TimeSpan.FromMilliseconds(1)).Of(Verb);

    private static readonly Setting<TimeSpan> SloTtft = Setting.Duration(
        "slo-ttft", "Time to the first token that counts as good [default: 2s]", TimeSpan.FromSeconds(2), TimeSpan.FromHours(1));

    private static readonly Setting<TimeSpan> SloItl = Setting.Duration(
        "slo-itl", "Mean time per further token that counts as good [default: 100ms]", TimeSpan.FromMilliseconds(100), TimeSpan.FromHours(1));

    private static readonly Setting<double> Rate = Setting.Real("rate", "Requests per second of a synthetic trace [default: 10]", 10, 0.001, 100_000).Of(Verb);
    private static readonly Setting<TimeSpan> Duration = Setting.Duration(
        "duration", "Length of a synthetic trace [default: 10m]", TimeSpan.FromMinutes(10), TimeSpan.FromDays(7), TimeSpan.FromSeconds(1)).Of(Verb);

    private static readonly Setting<TimeSpan> Real = Setting.Duration(
        "real", "Replay the first T of the trace on real processes with simulated engines too, and compare; exits 1 if a figure differs by more than 15 %",
        TimeSpan.Zero, TimeSpan.FromHours(1));

    public static Command Create(Setting<ulong> seed) => CommandLine.Verb(
        "trace", "Replay a trace of requests on simulated replicas, and compare balancing policies",
        [
            Policies, Replicas, Gateways, Slots, Speeds, Weights, MeasuredWeights, Load, Limit, KvBlocks, SharedBlocks, StepMs, SequenceMs, PrefillRate, Chunk,
            Faults, QueueLength, QueueTimeout, SloTtft, SloItl, Rate, Duration, Real, seed, CommandOutput.Json,
        ],
        sources => RunAsync(sources, seed.Read(sources)), Trace);

    private static async Task<int> RunAsync(SettingSources sources, ulong seed)
    {
        var settings = Read(sources, seed);
        if (Real.Read(sources) is { Ticks: > 0 } duration)
            return await TraceReplayCommand.RunAsync(sources, settings, duration);
        await Console.Error.WriteLineAsync($"simulating {settings.Trace.Count} requests with {settings.Policies.Count} policies …");
        var begun = Stopwatch.GetTimestamp();
        TraceLabResult result;
        try
        {
            result = TraceLab.Run(settings);
        }
        catch (ArgumentException error)
        {
            throw new UsageException(error.Message);
        }
        catch (InvalidOperationException error)
        {
            throw new CommandFailedException(error.Message, error);
        }
        await Console.Error.WriteLineAsync(FormattableString.Invariant($"simulated in {Stopwatch.GetElapsedTime(begun).TotalSeconds:0.0} s"));
        CommandOutput.Print(sources, result, () => Console.WriteLine(result.ToTable().Render()));
        return CommandLine.Success;
    }

    private static TraceLabSettings Read(SettingSources sources, ulong seed)
    {
        var policies = Policies.Read(sources);
        var slots = Slots.Read(sources);
        var speeds = Speeds.Read(sources);
        return new TraceLabSettings
        {
            Trace = ReadTrace(sources, seed),
            Policies = policies.Count > 0 ? policies : [BalancingPolicies.Default],
            Replicas = Replicas.Read(sources),
            Gateways = Gateways.Read(sources),
            Model = new EngineModel
            {
                StepMs = StepMs.Read(sources), SequenceMs = SequenceMs.Read(sources), PrefillTokensPerSecond = PrefillRate.Read(sources),
                ChunkTokens = Chunk.Read(sources), CacheBlocks = KvBlocks.Read(sources),
            },
            Slots = slots.Count > 0 ? [.. slots.Select(text => (int)NumberOf(text))] : [Model.Slots],
            Speeds = speeds.Count > 0 ? [.. speeds.Select(NumberOf)] : [Model.Speed],
            Weights = [.. Weights.Read(sources).Select(NumberOf)],
            MeasuredWeights = MeasuredWeights.Read(sources),
            Load = Load.Read(sources),
            SharedBlocks = SharedBlocks.Read(sources),
            Faults = [.. Faults.Read(sources).Select(text => LabFault.Parse(text)!)],
            QueueLength = QueueLength.Read(sources),
            QueueTimeout = QueueTimeout.Read(sources),
            SloTtft = SloTtft.Read(sources),
            SloItl = SloItl.Read(sources),
            Seed = seed,
        };
    }

    private static IReadOnlyList<TraceRequest> ReadTrace(SettingSources sources, ulong seed)
    {
        var file = sources.Get(Trace);
        try
        {
            var trace = file == Synthetic
                ? new SyntheticTrace { Rate = Rate.Read(sources), Duration = Duration.Read(sources), Seed = seed }.Generate()
                : TraceFile.Read(file);
            return Limit.Read(sources) is { } limit ? [.. trace.Take(limit)] : trace;
        }
        catch (ArgumentException error)
        {
            throw new UsageException(error.Message);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"file '{file}' cannot be read ({error.Message}); allowed: a trace, or {Synthetic}");
        }
    }

    private static double NumberOf(string text) => double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture);

    private static Setting<IReadOnlyList<string>> Numbers(string name, string description, Func<double, bool> isAllowed) => Setting.List(
        name, "numbers", description, "numbers above 0", 1000,
        text => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && isAllowed(number)).Of(Verb);
}
