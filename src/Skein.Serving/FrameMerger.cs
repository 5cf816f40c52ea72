using Google.Protobuf;
using Skein.Protocol.V1;

namespace Skein.Serving;

/// <summary>Joins frames that are there at the same time, so that a burst costs one message.</summary>
internal static class FrameMerger
{
    private const int MostTokens = 64;

    /// <summary>Puts <paramref name="next"/> at the end of <paramref name="frame"/> and returns true, if one frame can say both.</summary>
    public static bool TryAppend(GenerateFrame frame, GenerateFrame next)
    {
        if (!CanAppend(frame, next))
        {
            return false;
        }

        frame.Count += next.Count;
        frame.TokenIds.Add(next.TokenIds);
        frame.Logprobs.Add(next.Logprobs);
        if (!next.Text.IsEmpty)
        {
            frame.Text = ByteString.CopyFrom([.. frame.Text.Span, .. next.Text.Span]);
        }

        frame.Finish = next.Finish;
        frame.Load = next.Load ?? frame.Load;
        return true;
    }

    // Ids and logprobs are told of all tokens of a frame or of none.
    private static bool CanAppend(GenerateFrame frame, GenerateFrame next) =>
        frame.Count > 0 && IsPlain(frame) && IsPlain(next) && frame.Finish is null
        && (next.Count == 0
            || (next.FirstIndex == frame.FirstIndex + frame.Count
                && frame.Count + next.Count <= MostTokens
                && frame.TokenIds.Count > 0 == next.TokenIds.Count > 0
                && frame.Logprobs.Count > 0 == next.Logprobs.Count > 0));

    private static bool IsPlain(GenerateFrame frame) => frame.Start is null && frame.RawDelta.IsEmpty;
}
