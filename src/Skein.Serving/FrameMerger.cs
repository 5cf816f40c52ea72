using Google.Protobuf;

namespace Skein.Serving;

/// <summary>Merges frames that are available at the same time, so that a burst costs one message.</summary>
public static class FrameMerger
{
    private const int MostTokens = 64;

    /// <summary>Appends <paramref name="next"/> to <paramref name="frame"/> if one frame can carry both.</summary>
    /// <returns>False when it cannot; nothing is changed then.</returns>
    public static bool TryAppend(GenerateFrame frame, GenerateFrame next)
    {
        if (!CanAppend(frame, next))
            return false;

        frame.Count += next.Count;
        frame.TokenIds.Add(next.TokenIds);
        frame.Logprobs.Add(next.Logprobs);
        if (!next.Text.IsEmpty)
            frame.Text = ByteString.CopyFrom([.. frame.Text.Span, .. next.Text.Span]);

        frame.Finish = next.Finish;
        frame.Load = next.Load ?? frame.Load;
        return true;
    }

    // A frame carries ids and logprobs for all of its tokens or for none.
    private static bool CanAppend(GenerateFrame frame, GenerateFrame next) =>
        frame.Count > 0 && IsPlain(frame) && IsPlain(next) && frame.Finish is null
        && (next.Count == 0
            || (next.FirstIndex == frame.FirstIndex + frame.Count
                && frame.Count + next.Count <= MostTokens
                && frame.TokenIds.Count > 0 == next.TokenIds.Count > 0
                && frame.Logprobs.Count > 0 == next.Logprobs.Count > 0));

    private static bool IsPlain(GenerateFrame frame) =>
        frame is { Start: null, RawDelta.IsEmpty: true, RawChunk.IsEmpty: true, RawChoice.IsEmpty: true, RawLogprobs.IsEmpty: true };
}
