using System.Buffers.Binary;
using System.Diagnostics;
using Google.Protobuf;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;
using FleetReplica = Skein.Routing.Fleet.Replica;

namespace Skein.LinkBench;

/// <summary>Runs loads over a link and reads the CPU clock of this process before and after.</summary>
internal sealed class LoadRun(IReplicaLink link, IReadOnlyList<FleetReplica> replicas)
{
    private static readonly TimeSpan Settle = TimeSpan.FromSeconds(1);

    private readonly TransitTimes _transit = new();
    private long _tokens;
    private long _requests;

    public async Task<RunFigures> MeasureAsync(LoadShape shape, TimeSpan window)
    {
        using var over = new CancellationTokenSource();
        Task[] streams = [.. Enumerable.Range(0, shape.Streams).Select(index => RunStreamAsync(shape, replicas[index % replicas.Count], over.Token))];
        await Task.Delay(Settle, TimeProvider.System);

        _transit.Clear();
        var units = Units(shape);
        var cpu = Environment.CpuUsage.TotalTime;
        await Task.Delay(window, TimeProvider.System);
        var figures = new RunFigures(
            Units(shape) - units, (Environment.CpuUsage.TotalTime - cpu).TotalMicroseconds, _transit.Quantile(0.5), _transit.Quantile(0.99));

        await over.CancelAsync();
        await Task.WhenAll(streams);
        return figures;
    }

    private long Units(LoadShape shape) => Interlocked.Read(ref shape.Tokens == 1 ? ref _requests : ref _tokens);

    private async Task RunStreamAsync(LoadShape shape, FleetReplica replica, CancellationToken over)
    {
        try
        {
            while (true)
            {
                await foreach (var frame in link.GenerateAsync(replica, NewRequest(shape), over))
                {
                    if (frame.Count == 0)
                        continue;
                    Interlocked.Add(ref _tokens, frame.Count);
                    _transit.Add(Stopwatch.GetTimestamp() - BinaryPrimitives.ReadInt64LittleEndian(frame.Text.Span));
                }
                Interlocked.Increment(ref _requests);
            }
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested)
        {
            // The run is over.
        }
    }

    private static GenerateRequest NewRequest(LoadShape shape) => new()
    {
        RequestId = "req-0123456789abcdef0123456789abcdef",
        Model = shape.Model,
        Chat = new ChatPrompt { Messages = Prompt },
        MaxTokens = shape.Tokens,
        Sampling = new Sampling { Temperature = 1, Seed = 42 },
        Attempt = 1,
        Caller = "gateway-1",
    };

    private static readonly ByteString Prompt = ByteString.CopyFromUtf8(
        $$"""[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"{{new string('x', 400)}}"}]""");
}
