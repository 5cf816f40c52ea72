using Google.Protobuf;
using Skein.Protocol.V1;

namespace Skein.Gateway.Tests.Api;

/// <summary>Frames as a session returns them.</summary>
internal static class Frames
{
    public static GenerateFrame Start(uint choice = 0, string model = "tiny", uint promptTokens = 3) => new()
    {
        Attempt = 1,
        Choice = choice,
        Start = new Start
        {
            Model = model,
            Fingerprint = "fp-1",
            SystemFingerprint = "fp-1",
            Unit = TokenUnit.Token,
            ResumeTier = ResumeTier.Exact,
            PromptTokens = promptTokens,
        },
    };

    public static GenerateFrame Token(uint index, string text, uint choice = 0) => Token(index, ByteString.CopyFromUtf8(text), choice);

    public static GenerateFrame Token(uint index, ByteString text, uint choice = 0) =>
        new() { Attempt = 1, Choice = choice, FirstIndex = index, Count = 1, TokenIds = { index }, Text = text };

    /// <summary>A token with its log probability and that of one other.</summary>
    public static GenerateFrame Scored(uint index, string text, float logprob, string other, float otherLogprob)
    {
        var frame = Token(index, text);
        frame.Logprobs.Add(new TokenLogprob
        {
            TokenId = index,
            Token = ByteString.CopyFromUtf8(text),
            Logprob = logprob,
            Top = { new TokenLogprob { Token = ByteString.CopyFromUtf8(other), Logprob = otherLogprob } },
        });
        return frame;
    }

    public static GenerateFrame Delta(uint index, string json) =>
        new() { Attempt = 1, FirstIndex = index, Count = 1, RawDelta = ByteString.CopyFromUtf8(json) };

    /// <summary>The last frame of an answer with tool calls, which contains the whole calls.</summary>
    public static GenerateFrame ToolCalls(uint completionTokens, string json)
    {
        var frame = Finish(completionTokens, reason: FinishReason.ToolCalls);
        (frame.FirstIndex, frame.RawDelta) = (completionTokens, ByteString.CopyFromUtf8(json));
        return frame;
    }

    public static GenerateFrame Finish(uint completionTokens, uint choice = 0, FinishReason reason = FinishReason.Stop) => new()
    {
        Attempt = 1,
        Choice = choice,
        Finish = new Finish { Reason = reason, Usage = new Usage { PromptTokens = 3, CompletionTokens = completionTokens } },
    };

    /// <summary>An undisturbed answer of one choice, one token a text.</summary>
    public static GenerateFrame[] Answer(params string[] texts) =>
    [
        Start(),
        .. texts.Select((text, index) => Token((uint)index, text)),
        Finish((uint)texts.Length),
    ];
}
