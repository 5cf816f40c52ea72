namespace Skein.LinkBench;

/// <summary>
/// Measures every load shape over both links in interleaved pairs. Each link has its own gateway process; both use the same replicas. Prints medians
/// and the ratios within the pairs: other work on the machine affects both halves of a pair alike.
/// </summary>
internal static class Comparison
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);

    public static async Task<int> RunAsync(ComparisonOptions options)
    {
        List<RoleProcess> replicas = [.. Enumerable.Range(0, options.Replicas).Select(_ => new RoleProcess("replica"))];
        var addresses = new List<string>();
        foreach (var replica in replicas)
            addresses.Add(await replica.ReadLineAsync(Timeout));
        using var call = new RoleProcess("gateway", LinkKinds.Call, string.Join(',', addresses));
        using var bus = new RoleProcess("gateway", LinkKinds.Bus, string.Join(',', addresses));

        var spin = Environment.GetEnvironmentVariable("DOTNET_ThreadPool_UnfairSemaphoreSpinLimit") ?? "0 (as built)";
        Console.WriteLine(
            $"{options.Replicas} replica(s), {options.Pairs} pairs of {options.Seconds} s, pool spin limit {spin}; "
            + "medians; us = microseconds of gateway CPU per token or request");
        Console.WriteLine(
            "| load | units/s | call us | bus us | call/bus (least..most) | call transit p50/p99 us | bus transit p50/p99 us | replica CPU call/bus |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|");
        foreach (var shape in options.Shapes)
            await CompareAsync(shape, options, call, bus, replicas);
        replicas.ForEach(replica => replica.Dispose());
        return 0;
    }

    private static async Task CompareAsync(LoadShape shape, ComparisonOptions options, RoleProcess call, RoleProcess bus, List<RoleProcess> replicas)
    {
        var pairs = new List<(Run Call, Run Bus)>();
        await MeasureAsync(call);
        await MeasureAsync(bus);
        for (var pair = 0; pair < options.Pairs; pair++)
        {
            if (pair % 2 == 0)
            {
                var first = await MeasureAsync(call);
                pairs.Add((first, await MeasureAsync(bus)));
            }
            else
            {
                var first = await MeasureAsync(bus);
                pairs.Add((await MeasureAsync(call), first));
            }
        }
        double[] ratios = [.. pairs.Select(pair => pair.Call.Gateway.CpuPerUnit / pair.Bus.Gateway.CpuPerUnit)];
        Run[] calls = [.. pairs.Select(pair => pair.Call)];
        Run[] buses = [.. pairs.Select(pair => pair.Bus)];
        Console.WriteLine(
            $"| {shape.Name} | {Median(buses, run => run.Gateway.Units / (double)options.Seconds):0} | {Cost(calls):0.00} | {Cost(buses):0.00} "
            + $"| {Median(ratios, ratio => ratio):0.00} ({ratios.Min():0.00}..{ratios.Max():0.00}) | {Transit(calls)} | {Transit(buses)} "
            + $"| {Median(pairs, pair => pair.Call.ReplicaPerUnit / pair.Bus.ReplicaPerUnit):0.00} |");

        async Task<Run> MeasureAsync(RoleProcess gateway)
        {
            var before = Sum();
            await gateway.SendAsync($"{shape.Name} {options.Seconds}");
            var figures = RunFigures.FromLine(await gateway.ReadLineAsync(Timeout + TimeSpan.FromSeconds(options.Seconds)));
            return new Run(figures, (Sum() - before).TotalMicroseconds / figures.Units);
        }

        TimeSpan Sum() => replicas.Aggregate(TimeSpan.Zero, (sum, replica) => sum + replica.Cpu);
    }

    private static double Cost(Run[] runs) => Median(runs, run => run.Gateway.CpuPerUnit);

    private static string Transit(Run[] runs) => $"{Median(runs, run => run.Gateway.TransitP50):0} / {Median(runs, run => run.Gateway.TransitP99):0}";

    private static double Median<T>(IReadOnlyCollection<T> of, Func<T, double> figure) =>
        of.Select(figure).Order().Skip(of.Count / 2).First();

    /// <param name="Gateway">Figures of the gateway process.</param>
    /// <param name="ReplicaPerUnit">CPU time of all replicas in microseconds per token or request, the start and end of the streams included.</param>
    private readonly record struct Run(RunFigures Gateway, double ReplicaPerUnit);
}
