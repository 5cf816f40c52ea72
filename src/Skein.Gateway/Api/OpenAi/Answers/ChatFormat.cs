using Skein.Gateway.Api.Http;
using Skein.Gateway.Telemetry;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary><c>chat.completion</c> and <c>chat.completion.chunk</c>. Written without a serializer, because a chunk is written for every token.</summary>
internal sealed class ChatFormat() : AnswerFormat(MetricNames.ChatOperation, "chatcmpl-", "chat.completion", "chat.completion.chunk")
{
    public override ReadOnlySpan<byte> Opening =>
        ",\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":null}"u8;

    protected override ReadOnlySpan<byte> EmptyDelta => ",\"delta\":{}"u8;

    protected override void WriteDelta(scoped ref JsonSink json, ReadOnlySpan<byte> text, ReadOnlySpan<byte> members)
    {
        json.Raw(",\"delta\":{"u8);
        json.Raw(members);
        if (!text.IsEmpty || members.IsEmpty)
        {
            json.Raw(members.IsEmpty ? "\"content\":"u8 : ",\"content\":"u8);
            json.Text(text);
        }

        json.Raw("}"u8);
    }

    protected override void WriteWhole(scoped ref JsonSink json, ReadOnlySpan<byte> text, ReadOnlySpan<byte> members)
    {
        json.Raw(",\"message\":{\"role\":\"assistant\",\"content\":"u8);
        if (text.IsEmpty && !members.IsEmpty)
            json.Raw("null"u8);
        else
            json.Text(text);
        // OpenAI's clients read it without a check.
        if (members.IndexOf("\"refusal\":"u8) < 0)
            json.Raw(",\"refusal\":null"u8);
        json.Members(members);
        json.Raw("}"u8);
    }

    protected override void WriteLogprobs(scoped ref JsonSink json, IReadOnlyList<TokenLogprob> tokens, ref int textOffset)
    {
        json.Raw("{\"content\":"u8);
        WriteTokens(ref json, tokens);
        json.Raw(",\"refusal\":null}"u8);
    }

    /// <summary>Writes an array with an object for each token.</summary>
    public static void WriteTokens(scoped ref JsonSink json, IReadOnlyList<TokenLogprob> tokens)
    {
        json.Raw("["u8);
        for (var i = 0; i < tokens.Count; i++)
        {
            json.Separate(i);
            if (!tokens[i].Raw.IsEmpty)
            {
                json.Raw(RawDelta.Object(tokens[i].Raw.Span));
                continue;
            }

            json.Raw("{"u8);
            WriteToken(ref json, tokens[i]);
            json.Raw(",\"top_logprobs\":["u8);
            for (var k = 0; k < tokens[i].Top.Count; k++)
            {
                json.Raw(k == 0 ? "{"u8 : ",{"u8);
                WriteToken(ref json, tokens[i].Top[k]);
                json.Raw("}"u8);
            }

            json.Raw("]}"u8);
        }

        json.Raw("]"u8);
    }

    private static void WriteToken(scoped ref JsonSink json, TokenLogprob token)
    {
        json.Raw("\"token\":"u8);
        json.Text(token.Token.Span);
        json.Raw(",\"logprob\":"u8);
        json.Number(token.Logprob);
        json.Raw(",\"bytes\":["u8);
        var bytes = token.Token.Span;
        for (var i = 0; i < bytes.Length; i++)
        {
            json.Separate(i);
            json.Number(bytes[i]);
        }

        json.Raw("]"u8);
    }
}
