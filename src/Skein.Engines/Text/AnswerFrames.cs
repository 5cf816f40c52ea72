namespace Skein.Engines.Text;

/// <summary>Makes the first and the last frame of an answer.</summary>
internal static class AnswerFrames
{
    /// <param name="promptIds">Ids of the prompt; empty if unknown.</param>
    /// <param name="resumedAt">Index of the next token.</param>
    /// <param name="echo">Text in front of the answer.</param>
    /// <param name="systemFingerprint">What the engine calls its configuration towards clients; empty: nothing.</param>
    public static GenerateFrame Start(
        ModelDescription model, TokenUnit unit, ResumeTier tier, IReadOnlyCollection<uint> promptIds, int resumedAt, ReadOnlySpan<byte> echo,
        string systemFingerprint = "") => new()
    {
        FirstIndex = (uint)resumedAt,
        Start = new Start
        {
            Model = model.Name,
            Fingerprint = model.Fingerprint,
            Unit = unit,
            ResumeTier = tier,
            PromptTokens = (uint)promptIds.Count,
            PromptTokenIds = { promptIds },
            ResumedAt = (uint)resumedAt,
            SystemFingerprint = systemFingerprint,
            EchoedCharacters = (uint)AnswerText.Characters(echo),
        },
    };

    /// <summary>A frame without tokens: the engine is alive.</summary>
    public static GenerateFrame Alive() => new() { EngineAlive = true };

    /// <param name="text">The answer's text; text that was held back is released.</param>
    /// <param name="index">Index after the last token.</param>
    /// <param name="reason">Why the answer ended, if no stop text ended it.</param>
    /// <param name="usage">Token counts; null if unknown.</param>
    /// <param name="matchedStop">The stop text that ended the answer, if the server reports it.</param>
    /// <param name="rawReason">The server's own word for the reason, if it has one.</param>
    public static GenerateFrame Finish(
        AnswerText text, uint index, FinishReason reason, Usage? usage, string matchedStop = "", string? rawReason = null)
    {
        text.Flush();
        return new GenerateFrame
        {
            FirstIndex = index,
            Text = ByteString.CopyFrom(text.Take()),
            Finish = new Finish
            {
                Reason = text.MatchedStop is null ? reason : FinishReason.Stop,
                MatchedStop = text.MatchedStop ?? matchedStop,
                Usage = usage,
                RawReason = text.MatchedStop is null ? rawReason ?? "" : "",
            },
        };
    }
}
