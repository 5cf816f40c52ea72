using System.Diagnostics;
using Grpc.Core;
using Skein.GatewayBench.Processes;

namespace Skein.GatewayBench;

/// <summary>What is compared, and how long.</summary>
/// <param name="Before">Build to compare with.</param>
/// <param name="After">Build to judge.</param>
/// <param name="Pairs">Measured pairs per load, spread over the rounds.</param>
/// <param name="Rounds">Times that all processes are started anew.</param>
/// <param name="Length">Approximate length of one measurement.</param>
/// <param name="Jit">How the processes under test compile their code.</param>
internal sealed record ComparisonOptions(string Before, string After, int Pairs, int Rounds, TimeSpan Length, JitMode Jit);

/// <summary>
/// Runs every load on both builds in interleaved pairs. What else the machine does affects both halves of a pair alike, so the ratio within a
/// pair is steadier than either figure. Fresh processes in each round average out what differs between two processes of the same build.
/// </summary>
internal sealed class Comparison(ComparisonOptions options, CancellationToken cancellationToken)
{
    // The context of the simulated engine is 8,192 tokens, the prompt included.
    private const int MostUnitsPerStream = 8000;
    private const int MostFailures = 10;

    // Code that is compiled in tiers costs several times as much until it is optimized.
    private readonly TimeSpan _warmUpPerSide = TimeSpan.FromSeconds(options.Jit == JitMode.Full ? 2 : 8);
    private readonly Dictionary<Load, int> _unitsPerStream = [];
    private int _failures;

    public async Task RunAsync(IReadOnlyList<Load> loads, Report report)
    {
        report.Begin(options);
        foreach (var group in loads.GroupBy(load => load.Setup))
        {
            var results = group.ToDictionary(load => load, _ => new List<MeasuredPair>());
            for (var round = 1; round <= options.Rounds; round++)
                await RunRoundAsync(group.Key, results, target: options.Pairs * round / options.Rounds, isReversed: round % 2 == 0);
            foreach (var (load, pairs) in results)
                report.Add(LoadFigures.Of(load, pairs));
        }
        report.End();
    }

    /// <summary>Starts fresh processes and measures until every load has <paramref name="target"/> pairs. The order of the starts alternates too.</summary>
    private async Task RunRoundAsync(SetupKind setup, Dictionary<Load, List<MeasuredPair>> results, int target, bool isReversed)
    {
        using var server = setup == SetupKind.Upstream ? await ScriptedServer.StartAsync(cancellationToken) : null;
        var (first, second) = (new Build("before", options.Before), new Build("after", options.After));
        if (isReversed)
            (first, second) = (second, first);
        using var earlier = await Side.StartAsync(first, setup, options.Jit, server?.Url, cancellationToken);
        using var later = await Side.StartAsync(second, setup, options.Jit, server?.Url, cancellationToken);
        var (left, right) = isReversed ? (later, earlier) : (earlier, later);
        // All loads first: what one of them warms up, another uses.
        foreach (var load in results.Keys)
            await WarmUpAsync(load, left, right);
        foreach (var (load, pairs) in results)
            await MeasureAsync(load, pairs, target, left, right);
    }

    private async Task MeasureAsync(Load load, List<MeasuredPair> pairs, int target, Side left, Side right)
    {
        using var first = new LoadRun(load, left);
        using var second = new LoadRun(load, right);
        // Opens the connections.
        await MeasurePairAsync(load, first, second, units: 1, isReversed: false);
        while (pairs.Count < target)
        {
            await Console.Error.WriteLineAsync($"{load.Name}: pair {pairs.Count + 1} of {options.Pairs}");
            // Alternating the order cancels what the first run of a pair leaves to the second.
            pairs.Add(await MeasurePairAsync(load, first, second, _unitsPerStream[load], isReversed: pairs.Count % 2 == 1));
        }
    }

    /// <summary>Warms both sides up. The first round also finds the amount of work that takes about the length asked for.</summary>
    private async Task WarmUpAsync(Load load, Side left, Side right)
    {
        await Console.Error.WriteLineAsync($"{load.Name}: warm-up");
        using var first = new LoadRun(load, left);
        using var second = new LoadRun(load, right);
        var isCalibrated = _unitsPerStream.TryGetValue(load, out var units);
        if (!isCalibrated)
            units = load.IsPaced ? UnitsFor(Load.PacedTokensPerSecond) : 100;
        var start = Stopwatch.GetTimestamp();
        do
        {
            var pair = await MeasurePairAsync(load, first, second, units, isReversed: false);
            if (!isCalibrated && !load.IsPaced)
                units = UnitsFor((pair.Before.UnitsPerSecond + pair.After.UnitsPerSecond) / 2 / load.Streams);
        }
        while (Stopwatch.GetElapsedTime(start) < 2 * _warmUpPerSide);
        _unitsPerStream[load] = units;
    }

    /// <summary>Measures a pair, again if a request failed in it: on an overloaded machine a gateway gives up a replica that is only late.</summary>
    private async Task<MeasuredPair> MeasurePairAsync(Load load, LoadRun before, LoadRun after, int units, bool isReversed)
    {
        while (true)
        {
            try
            {
                var first = await (isReversed ? after : before).MeasureAsync(units, cancellationToken);
                var second = await (isReversed ? before : after).MeasureAsync(units, cancellationToken);
                return isReversed ? new MeasuredPair(second, first) : new MeasuredPair(first, second);
            }
            catch (Exception error) when (error is HttpRequestException or IOException or RpcException or InvalidDataException && _failures++ < MostFailures)
            {
                await Console.Error.WriteLineAsync($"{load.Name}: pair discarded: {error.Message}");
            }
        }
    }

    private int UnitsFor(double unitsPerSecond) => Math.Clamp((int)(unitsPerSecond * options.Length.TotalSeconds), 1, MostUnitsPerStream);
}
