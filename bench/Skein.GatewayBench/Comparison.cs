using System.Diagnostics;
using Skein.GatewayBench.Processes;

namespace Skein.GatewayBench;

/// <summary>
/// Runs every load on both builds in interleaved pairs. What else the machine does affects both halves of a pair alike, so the ratio within a
/// pair is steadier than either figure.
/// </summary>
internal sealed class Comparison(DirectoryInfo before, DirectoryInfo after, int pairs, TimeSpan length, CancellationToken cancellationToken)
{
    // The context of the simulated engine is 8,192 tokens, the prompt included.
    private const int MostUnitsPerStream = 8000;

    // Per side and load.
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(8);

    public async Task RunAsync(IReadOnlyList<Load> loads, Report report)
    {
        report.Begin(before, after, pairs, length);
        foreach (var group in loads.GroupBy(load => load.Setup))
        {
            using var server = group.Key == SetupKind.Upstream ? await ScriptedServer.StartAsync(cancellationToken) : null;
            using var left = await Side.StartAsync("before", before, group.Key, server?.Url, cancellationToken);
            using var right = await Side.StartAsync("after", after, group.Key, server?.Url, cancellationToken);
            foreach (var load in group)
                report.Add(load, await CompareAsync(load, left, right));
        }
        report.End();
    }

    private async Task<IReadOnlyList<MeasuredPair>> CompareAsync(Load load, Side left, Side right)
    {
        using var first = new LoadRun(load, left);
        using var second = new LoadRun(load, right);
        var units = await WarmUpAsync(load, first, second);
        var results = new List<MeasuredPair>();
        while (results.Count < pairs)
        {
            await Console.Error.WriteAsync($"\r{load.Name}: pair {results.Count + 1} of {pairs} ");
            // Alternating the order cancels what the first run of a pair leaves to the second.
            if (results.Count % 2 == 0)
            {
                var result = await first.MeasureAsync(units, cancellationToken);
                results.Add(new MeasuredPair(result, await second.MeasureAsync(units, cancellationToken)));
            }
            else
            {
                var result = await second.MeasureAsync(units, cancellationToken);
                results.Add(new MeasuredPair(await first.MeasureAsync(units, cancellationToken), result));
            }
        }
        await Console.Error.WriteLineAsync();
        return results;
    }

    /// <summary>
    /// Warms both sides up and finds the amount of work that takes about <see cref="length"/>. A process that has just started runs code that is
    /// not optimized yet and costs several times as much.
    /// </summary>
    /// <returns>Tokens or requests per stream.</returns>
    private async Task<int> WarmUpAsync(Load load, LoadRun first, LoadRun second)
    {
        await Console.Error.WriteAsync($"\r{load.Name}: warm-up ");
        var units = load.Shape == LoadShape.Paced ? UnitsFor(Load.PacedTokensPerSecond) : 100;
        var start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < 2 * WarmUp)
        {
            var rates = (await first.MeasureAsync(units, cancellationToken), await second.MeasureAsync(units, cancellationToken));
            if (load.Shape != LoadShape.Paced)
                units = UnitsFor((rates.Item1.UnitsPerSecond + rates.Item2.UnitsPerSecond) / 2 / load.Streams);
        }
        return units;
    }

    private int UnitsFor(double unitsPerSecond) => Math.Clamp((int)(unitsPerSecond * length.TotalSeconds), 1, MostUnitsPerStream);
}
