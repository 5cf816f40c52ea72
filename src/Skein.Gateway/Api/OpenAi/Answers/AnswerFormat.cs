using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary>Writes the objects inside <c>choices</c>. They differ between chats and completions. Stateless.</summary>
/// <param name="chunkObject">OpenAI's <c>object</c> of a chunk.</param>
internal abstract class AnswerFormat(string operation, string idPrefix, string wholeObject, string chunkObject)
{
    public static readonly AnswerFormat Chat = new ChatFormat();
    public static readonly AnswerFormat Completion = new CompletionFormat();

    public string Operation => operation;

    public string IdPrefix => idPrefix;

    public string WholeObject => wholeObject;

    public string ChunkObject => chunkObject;

    /// <summary>What follows the index in the chunk that opens a choice, before any text; empty if there is no such chunk.</summary>
    public abstract ReadOnlySpan<byte> Opening { get; }

    /// <summary>The members of a chunk without text, after the index.</summary>
    protected abstract ReadOnlySpan<byte> EmptyDelta { get; }

    /// <summary>Whether the client can see nothing of a frame: its text is held back.</summary>
    public static bool IsSilent(GenerateFrame frame, bool withLogprobs) =>
        frame.Text.IsEmpty && frame.RawDelta.IsEmpty && Shown(frame.Logprobs, withLogprobs).Count == 0
        && frame.RawLogprobs.IsEmpty && (frame.Finish is not null || (frame.RawChoice.IsEmpty && frame.RawChunk.IsEmpty));

    /// <param name="members">Members of the delta that the engine sent.</param>
    /// <param name="beside">Members beside the delta that the engine sent.</param>
    /// <param name="textOffset">Characters before this frame, an echoed prompt included. Advanced if log probabilities are written.</param>
    public void WriteDelta(
        scoped ref JsonSink json, GenerateFrame frame, ReadOnlySpan<byte> members, ReadOnlySpan<byte> beside, bool withLogprobs, ref int textOffset)
    {
        WriteIndex(ref json, frame.Choice);
        WriteDelta(ref json, frame.Text.Span, members);
        WriteLogprobsMember(ref json, Shown(frame.Logprobs, withLogprobs), frame.RawLogprobs.Span, ref textOffset);
        json.Raw(",\"finish_reason\":null"u8);
        json.Members(beside);
        json.Raw("}"u8);
    }

    public void WriteFinish(scoped ref JsonSink json, uint choice, Finish finish, ReadOnlySpan<byte> beside, AnswerPlan plan)
    {
        WriteIndex(ref json, choice);
        json.Raw(EmptyDelta);
        json.Raw(",\"logprobs\":null,\"finish_reason\":"u8);
        WriteReason(ref json, finish, plan);
        json.Members(beside);
        json.Raw("}"u8);
    }

    public void WriteWhole(scoped ref JsonSink json, uint choice, CollectedChoice collected, AnswerPlan plan)
    {
        WriteIndex(ref json, choice);
        WriteWhole(ref json, collected.Text, collected.MergedDeltas());
        var textOffset = plan.EchoedCharactersOf(choice, collected.EchoedCharacters);
        WriteLogprobsMember(ref json, Shown(collected.Logprobs, plan.WithLogprobs), collected.RawLogprobs.Span, ref textOffset);
        json.Raw(",\"finish_reason\":"u8);
        WriteReason(ref json, collected.Finish, plan);
        json.Members(collected.MergedBeside());
        json.Raw("}"u8);
    }

    protected abstract void WriteDelta(scoped ref JsonSink json, ReadOnlySpan<byte> text, ReadOnlySpan<byte> members);

    protected abstract void WriteWhole(scoped ref JsonSink json, ReadOnlySpan<byte> text, ReadOnlySpan<byte> members);

    protected abstract void WriteLogprobs(scoped ref JsonSink json, IReadOnlyList<TokenLogprob> tokens, ref int textOffset);

    // The engine's own are shown also where another member than logprobs asked for them.
    private static IReadOnlyList<TokenLogprob> Shown(IReadOnlyList<TokenLogprob> logprobs, bool withLogprobs) =>
        withLogprobs || (logprobs.Count > 0 && !logprobs[0].Raw.IsEmpty) ? logprobs : [];

    private static void WriteIndex(scoped ref JsonSink json, uint choice)
    {
        json.Raw("{\"index\":"u8);
        json.Number(choice);
    }

    private void WriteLogprobsMember(scoped ref JsonSink json, IReadOnlyList<TokenLogprob> logprobs, ReadOnlySpan<byte> raw, ref int textOffset)
    {
        json.Raw(",\"logprobs\":"u8);
        if (!raw.IsEmpty)
            json.Raw(RawDelta.Object(raw));
        else if (logprobs.Count == 0)
            json.Raw("null"u8);
        else if (!logprobs[0].Raw.IsEmpty)
            WriteRawLogprobs(ref json, logprobs);
        else
            WriteLogprobs(ref json, logprobs, ref textOffset);
    }

    // As the engine sent them.
    private static void WriteRawLogprobs(scoped ref JsonSink json, IReadOnlyList<TokenLogprob> logprobs)
    {
        json.Raw("{\"content\":["u8);
        for (var i = 0; i < logprobs.Count; i++)
        {
            json.Separate(i);
            json.Raw(RawDelta.Object(logprobs[i].Raw.Span));
        }

        json.Raw("]}"u8);
    }

    private static void WriteReason(scoped ref JsonSink json, Finish finish, AnswerPlan plan)
    {
        if (finish.RawReason.Length > 0)
            json.Text(finish.RawReason);
        else
            json.Raw(NameOf(finish.Reason, plan));
    }

    private static ReadOnlySpan<byte> NameOf(FinishReason reason, AnswerPlan plan) => reason switch
    {
        FinishReason.Stop => "\"stop\""u8,
        FinishReason.Length => "\"length\""u8,
        FinishReason.ToolCalls => plan.CallsFunctions ? "\"function_call\""u8 : "\"tool_calls\""u8,
        FinishReason.ContentFilter => "\"content_filter\""u8,
        _ => throw new InvalidDataException($"the replica finished with the unknown reason {reason}"),
    };
}
