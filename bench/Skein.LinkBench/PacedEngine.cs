using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Google.Protobuf;
using Skein.Engines;
using Skein.Protocol.V1;

namespace Skein.LinkBench;

/// <summary>An engine that costs very little, so that the link dominates. The text of each token is the time at which it was made.</summary>
internal sealed class PacedEngine : IInferenceEngine
{
    /// <summary>Model whose streams send 20 tokens per second, each at its own phase.</summary>
    public const string Paced = "paced";

    /// <summary>Model whose streams send 20 tokens per second, all at the same moment, as a batching engine does.</summary>
    public const string Ticked = "ticked";

    /// <summary>Model that sends all tokens at once.</summary>
    public const string AtOnce = "at-once";

    public const int MostStreams = 10_000;

    private readonly Pacer _pacer = new();

    public string Kind => "bench";

    public ValueTask<EngineDescription> DescribeAsync(CancellationToken cancellationToken) =>
        ValueTask.FromResult(new EngineDescription([new ModelDescription { Name = Paced }], MostStreams));

    public async IAsyncEnumerable<GenerateFrame> GenerateAsync(
        GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var pace = request.Model is AtOnce ? null : _pacer.Join(request.Model is Ticked);
        yield return new GenerateFrame { Start = new Start { Model = request.Model, Unit = TokenUnit.Token, PromptTokens = 100 } };
        for (uint index = 0; index < request.MaxTokens; index++)
        {
            if (pace is not null)
                await pace.NextAsync(cancellationToken);
            yield return new GenerateFrame { FirstIndex = index, Count = 1, TokenIds = { 20_000 + (index & 8191) }, Text = Now() };
        }
        yield return new GenerateFrame { Finish = new Finish { Reason = FinishReason.Length, Usage = new Usage { PromptTokens = 100 } } };
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static ByteString Now()
    {
        var now = Stopwatch.GetTimestamp();
        return ByteString.CopyFrom(MemoryMarshal.AsBytes(new ReadOnlySpan<long>(in now)));
    }
}
