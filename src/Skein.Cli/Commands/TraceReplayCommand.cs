using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Engines.Simulated;
using Skein.Load.Replay;
using Skein.Operations.Supervision;
using Skein.Simulation.Lab;
using Skein.Simulation.Traces;

namespace Skein.Cli.Commands;

/// <summary>
/// <c>skein simulate trace --real</c>: replays the begin of the trace in the lab, and on a local cluster of real processes with simulated engines of the same
/// latency model, and compares the figures.
/// </summary>
internal static class TraceReplayCommand
{
    private static readonly string Model = new SimulatedEngineOptions().Model;

    /// <param name="duration">How much of the trace is replayed, after its times were scaled.</param>
    /// <exception cref="UsageException">A setting has no counterpart in real processes.</exception>
    public static async Task<int> RunAsync(SettingSources sources, TraceLabSettings settings, TimeSpan duration)
    {
        if (settings.Policies.Intersect(TraceLab.OwnPolicies).FirstOrDefault() is { } own)
            throw new UsageException($"--policy {own} exists only in the lab; allowed with --real: the policies of 'skein gateway'");
        if (settings.Model.CacheBlocks > 0 || settings.Faults.Count > 0)
            throw new UsageException("--kv-blocks and --faults are for the lab only; allowed with --real: neither");
        IReadOnlyList<TraceRequest> trace = [.. TraceLab.Prepare(settings).Trace.TakeWhile(request => request.At < duration)];
        if (trace.Count is 0 or > TraceReplay.MostRequests)
            throw new UsageException($"--real {duration} selects {trace.Count} requests; allowed: 1 to {TraceReplay.MostRequests}");
        settings = settings with { Trace = trace, Load = null, SharedBlocks = 0 };
        var lab = TraceLab.Run(settings);
        var compared = new List<TraceComparison>();
        using var signal = new StopSignal(supervised: false);
        foreach (var figures in lab.Policies)
            compared.Add(await ReplayAsync(figures, settings, signal));
        CommandOutput.Print(sources, compared, () =>
        {
            foreach (var comparison in compared)
                Console.WriteLine(comparison.ToTable().Render());
        });
        if (compared.TrueForAll(comparison => comparison.Agrees))
            return CommandLine.Success;
        await Console.Error.WriteLineAsync(FormattableString.Invariant($"the figures differ by more than {TraceComparison.Allowed:0%}"));
        return CommandLine.Failure;
    }

    private static async Task<TraceComparison> ReplayAsync(PolicyFigures lab, TraceLabSettings settings, StopSignal signal)
    {
        using var cluster = new LocalCluster(Specs(lab.Policy, settings), TimeSpan.FromSeconds(2), TimeProvider.System, Console.Error.WriteLine);
        try
        {
            await UpCommand.StartAsync(cluster, signal.Stop);
            Uri[] gateways = [.. cluster.Members.Take(settings.Gateways).Select(member => new Uri($"http://{member.LastReady!.Http}"))];
            var random = new Random((int)settings.Seed);
            ReplayRequest[] requests =
            [
                .. settings.Trace.Select(request => new ReplayRequest(
                    request.At, request.PromptTokens * SimulatedEngineFactory.BytesPerPromptToken, request.AnswerTokens, random.Next(gateways.Length))),
            ];
            // Code is compiled, and connections are made, before anything is measured.
            await TraceReplay.RunAsync(
                gateways, Model, [.. Enumerable.Range(0, 8 * gateways.Length).Select(i => new ReplayRequest(TimeSpan.Zero, 3, 8, i % gateways.Length))],
                TimeProvider.System, signal.Stop);
            await Console.Error.WriteLineAsync(FormattableString.Invariant(
                $"replaying {requests.Length} requests in {requests[^1].At.TotalSeconds:0} s on {cluster.Members.Count} processes …"));
            (var replayed, var gaps) = await TraceReplay.RunAsync(gateways, Model, requests, TimeProvider.System, signal.Stop);
            return TraceComparison.Of(lab, settings.Trace, replayed, gaps.P50, settings);
        }
        catch (MemberFailedException error)
        {
            throw new CommandFailedException($"the cluster did not start: {error.Message}", error);
        }
        finally
        {
            await cluster.StopAsync(signal.AtOnce);
        }
    }

    private static List<MemberSpec> Specs(string policy, TraceLabSettings settings)
    {
        string[] common = ["--grpc", "0", "--grace", "1s", "--log", "warning"];
        string[] gateway =
        [
            "--http", "0", "--lame-duck", "0s", "--policy", policy, "--expected-replicas", Text(settings.Replicas),
            .. settings.MeasuredWeights ? new[] { "--measured-weights" } : [], "--queue-length", Text(settings.QueueLength),
            "--queue-timeout", string.Create(CultureInfo.InvariantCulture, $"{settings.QueueTimeout.TotalMilliseconds:0}ms"), .. common,
        ];
        return
        [
            .. Enumerable.Range(1, settings.Gateways).Select(i => new MemberSpec($"gateway-{i}", "gateway", gateway)),
            .. Enumerable.Range(0, settings.Replicas).Select(i => new MemberSpec($"replica-{i + 1}", "replica", [.. ReplicaFlags(settings, i), .. common])),
        ];
    }

    private static string[] ReplicaFlags(TraceLabSettings settings, int replica)
    {
        var model = settings.Model;
        var speed = settings.Speeds[replica % settings.Speeds.Count];
        var weight = settings.Weights.Count > 0 ? settings.Weights[replica % settings.Weights.Count] : speed;
        return
        [
            "--engine", SimulatedEngineFactory.Kind, "--slots", Text(settings.Slots[replica % settings.Slots.Count]), "--weight", Text(weight),
            "--batch-step-ms", Text(model.StepMs / speed), "--batch-sequence-ms", Text(model.SequenceMs / speed),
            "--batch-prefill-tokens-per-second", Text(model.PrefillTokensPerSecond * speed), "--batch-chunk-tokens", Text(model.ChunkTokens),
        ];
    }

    private static string Text(double value) => value.ToString("R", CultureInfo.InvariantCulture);
}
