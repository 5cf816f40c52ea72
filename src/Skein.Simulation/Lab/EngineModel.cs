using Skein.Simulation.Traces;

namespace Skein.Simulation.Lab;

/// <summary>
/// Latency of an inference server with continuous batching and chunked prefill. One step generates a token for each sequence that has its prompt read, and
/// reads up to a chunk of the oldest prompts that are not. It takes <see cref="StepMs"/> + sequences x <see cref="SequenceMs"/> + prompt tokens /
/// <see cref="PrefillTokensPerSecond"/>, divided by <see cref="Speed"/>. To calibrate it, measure a server's time per token at two batch sizes, and its
/// time to the first token at two prompt lengths.
/// </summary>
public sealed record EngineModel
{
    /// <summary>Time of a step without any sequence, in milliseconds. Above 0; default 15.</summary>
    public double StepMs { get; init; } = 15;

    /// <summary>Time that each further sequence adds to a step, in milliseconds. Default 0.4.</summary>
    public double SequenceMs { get; init; } = 0.4;

    /// <summary>Prompt tokens per second of a replica that does nothing else. Above 0; default 20,000.</summary>
    public double PrefillTokensPerSecond { get; init; } = 20_000;

    /// <summary>Most prompt tokens of one step. At least 1; default 2,048.</summary>
    public int ChunkTokens { get; init; } = 2048;

    /// <summary>Factor on all of these speeds. Above 0; default 1.</summary>
    public double Speed { get; init; } = 1;

    /// <summary>Concurrent requests. At least 1; default 32.</summary>
    public int Slots { get; init; } = 32;

    /// <summary>
    /// Blocks of <see cref="TraceRequest.BlockTokens"/> tokens in the prefix cache, of which the least recently used give way. Default 0: no prefix cache.
    /// </summary>
    public int CacheBlocks { get; init; }

    /// <summary>Duration of a step in ticks.</summary>
    public long StepTicks(int sequences, int promptTokens) => Math.Max(
        1, (long)((StepMs + (sequences * SequenceMs) + (promptTokens * 1000 / PrefillTokensPerSecond)) / Speed * TimeSpan.TicksPerMillisecond));

    /// <summary>Time from arrival to the last token on an idle replica with an empty cache.</summary>
    public TimeSpan Alone(int promptTokens, int answerTokens)
    {
        long ticks = 0;
        for (var left = promptTokens; left > 0; left -= ChunkTokens)
            ticks += StepTicks(0, Math.Min(left, ChunkTokens));
        return TimeSpan.FromTicks(ticks + ((answerTokens - 1) * StepTicks(1, 0)));
    }
}
