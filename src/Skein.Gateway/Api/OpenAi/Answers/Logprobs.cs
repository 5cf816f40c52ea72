using Google.Protobuf.Collections;
using Skein.Gateway.Api.Http;
using Skein.Protocol.V1;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary><c>logprobs</c> of a chat: one object per token.</summary>
internal static class ChatLogprobs
{
    public static void Write(scoped ref JsonSink json, IReadOnlyList<TokenLogprob> tokens)
    {
        json.Raw("{\"content\":["u8);
        for (var i = 0; i < tokens.Count; i++)
        {
            json.Raw(i == 0 ? "{"u8 : ",{"u8);
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

        json.Raw("],\"refusal\":null}"u8);
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
            if (i > 0)
                json.Raw(","u8);
            json.Number(bytes[i]);
        }

        json.Raw("]"u8);
    }
}

/// <summary><c>logprobs</c> of a completion: four arrays side by side.</summary>
internal static class CompletionLogprobs
{
    /// <param name="textOffset">Characters (Unicode code points) of the answer before the first token; moved behind the last.</param>
    public static void Write(scoped ref JsonSink json, IReadOnlyList<TokenLogprob> tokens, ref int textOffset)
    {
        json.Raw("{\"tokens\":["u8);
        for (var i = 0; i < tokens.Count; i++)
        {
            Separate(ref json, i);
            json.Text(tokens[i].Token.Span);
        }

        json.Raw("],\"token_logprobs\":["u8);
        for (var i = 0; i < tokens.Count; i++)
        {
            Separate(ref json, i);
            json.Number(tokens[i].Logprob);
        }

        json.Raw("],\"top_logprobs\":["u8);
        for (var i = 0; i < tokens.Count; i++)
        {
            Separate(ref json, i);
            WriteTop(ref json, tokens[i].Top);
        }

        json.Raw("],\"text_offset\":["u8);
        for (var i = 0; i < tokens.Count; i++)
        {
            Separate(ref json, i);
            json.Number(textOffset);
            textOffset += CharactersBegun(tokens[i].Token.Span);
        }

        json.Raw("]}"u8);
    }

    private static void WriteTop(scoped ref JsonSink json, RepeatedField<TokenLogprob> top)
    {
        if (top.Count == 0)
        {
            json.Raw("null"u8);
            return;
        }

        json.Raw("{"u8);
        for (var k = 0; k < top.Count; k++)
        {
            Separate(ref json, k);
            json.Text(top[k].Token.Span);
            json.Raw(":"u8);
            json.Number(top[k].Logprob);
        }

        json.Raw("}"u8);
    }

    private static void Separate(scoped ref JsonSink json, int index)
    {
        if (index > 0)
            json.Raw(","u8);
    }

    /// <summary>A token may hold a part of a character: the character counts where its first byte stands.</summary>
    private static int CharactersBegun(ReadOnlySpan<byte> utf8)
    {
        var count = 0;
        foreach (var value in utf8)
            count += (value & 0xC0) == 0x80 ? 0 : 1;
        return count;
    }
}
