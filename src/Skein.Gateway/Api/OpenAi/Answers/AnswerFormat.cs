using Skein.Gateway.Api.Http;
using Skein.Protocol.V1;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary>The parts in which the answers of chat and of completions differ: the objects inside <c>choices</c>.</summary>
internal abstract class AnswerFormat
{
    public static readonly AnswerFormat Chat = new ChatFormat();
    public static readonly AnswerFormat Completion = new CompletionFormat();

    /// <summary>Name of the operation in metrics, as OpenTelemetry has it.</summary>
    public abstract string Operation { get; }

    public abstract string IdPrefix { get; }

    /// <summary>OpenAI's <c>object</c> of a whole answer.</summary>
    public abstract string WholeObject { get; }

    /// <summary>OpenAI's <c>object</c> of a chunk.</summary>
    public abstract string ChunkObject { get; }

    /// <summary>What follows the index in the chunk that opens a choice, before any text; empty: there is no such chunk.</summary>
    public abstract ReadOnlySpan<byte> Opening { get; }

    /// <summary>The choice of a chunk that carries what a frame released.</summary>
    /// <param name="members">What stands in the frame's raw delta.</param>
    /// <param name="textOffset">Characters before this frame, the echoed prompt's included; moved on by it where log probabilities are written.</param>
    public abstract void WriteDelta(scoped ref JsonSink json, GenerateFrame frame, ReadOnlySpan<byte> members, bool withLogprobs, ref int textOffset);

    /// <summary>The choice of the chunk that ends a choice.</summary>
    public abstract void WriteFinish(scoped ref JsonSink json, uint choice, FinishReason reason, AnswerPlan plan);

    /// <summary>A choice of a whole answer.</summary>
    public abstract void WriteWhole(scoped ref JsonSink json, int choice, CollectedChoice collected, AnswerPlan plan);

    /// <summary>Nothing that a client could see is in the frame: its text is held back for now.</summary>
    public static bool IsSilent(GenerateFrame frame, bool withLogprobs) =>
        frame.Text.IsEmpty && frame.RawDelta.IsEmpty && !(withLogprobs && frame.Logprobs.Count > 0);

    protected static ReadOnlySpan<byte> Spell(FinishReason reason, AnswerPlan plan) => reason switch
    {
        FinishReason.Stop => "\"stop\""u8,
        FinishReason.Length => "\"length\""u8,
        FinishReason.ToolCalls => plan.CallsFunctions ? "\"function_call\""u8 : "\"tool_calls\""u8,
        FinishReason.ContentFilter => "\"content_filter\""u8,
        _ => throw new InvalidDataException($"the replica finished with the unknown reason {reason}"),
    };
}
