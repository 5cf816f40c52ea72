using System.Diagnostics;
using Skein.GatewayBench.Clients;
using Skein.GatewayBench.Processes;

namespace Skein.GatewayBench;

/// <summary>One measurement.</summary>
/// <param name="CpuMicroseconds">CPU time of the gateway process per token or request.</param>
/// <param name="UnitsPerSecond">Tokens or requests per second.</param>
/// <param name="FirstToken">Median time to the first token of an answer, in microseconds; 0: not measured.</param>
/// <param name="Transit">
/// 99th percentile of the time from the upstream's write of a token to its arrival at the client, in microseconds; 0: not measured.
/// </param>
internal readonly record struct Measurement(double CpuMicroseconds, double UnitsPerSecond, double FirstToken, double Transit);

/// <summary>One measurement of each side, one right after the other.</summary>
internal readonly record struct MeasuredPair(Measurement Before, Measurement After)
{
    public double Ratio => After.CpuMicroseconds / Before.CpuMicroseconds;
}

/// <summary>Sends one load to one side and measures it.</summary>
internal sealed class LoadRun(Load load, Side side) : IDisposable
{
    private static readonly TimeSpan Timeout = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan PacedStep = TimeSpan.FromSeconds(1) / Load.PacedTokensPerSecond;

    private readonly ILoadClient _client = load.Api == ClientApi.Grpc ? new GrpcClient(side.Grpc, load.Model) : new SseClient(side.Http, load.Model);

    /// <summary>Runs a fixed amount of work: every stream does <paramref name="unitsPerStream"/> tokens or requests.</summary>
    public async Task<Measurement> MeasureAsync(int unitsPerStream, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(Timeout, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        var times = new LoadTimes();
        var cpu = side.GatewayCpu();
        var start = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, load.Streams).Select(stream => Task.Run(() => RunStreamAsync(stream, unitsPerStream, times, either.Token))));
        var elapsed = Stopwatch.GetElapsedTime(start);
        var units = (double)load.Streams * unitsPerStream;
        return new Measurement(
            (side.GatewayCpu() - cpu).TotalMicroseconds / units, units / elapsed.TotalSeconds, LoadTimes.Percentile(times.FirstToken, 50),
            LoadTimes.Percentile(times.Transit, 99));
    }

    public void Dispose() => _client.Dispose();

    private async Task RunStreamAsync(int stream, int units, LoadTimes times, CancellationToken cancellationToken)
    {
        // Spread over one step, so that the tokens of different streams do not come at the same moment.
        if (load.IsPaced)
            await Task.Delay(PacedStep * stream / load.Streams, TimeProvider.System, cancellationToken);
        var (requests, tokens) = load.Shape == LoadShape.Requests ? (units, 1) : (1, units);
        for (var request = 0; request < requests; request++)
        {
            var received = await _client.AskAsync(stream, tokens, times, cancellationToken);
            if (received != tokens)
                throw new InvalidDataException($"{load.Name} ({side.Name}): an answer has {received} tokens; expected: {tokens}");
        }
    }
}
