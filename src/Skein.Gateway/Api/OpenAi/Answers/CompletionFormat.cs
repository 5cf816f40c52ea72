using Skein.Gateway.Api.Http;
using Skein.Gateway.Telemetry;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary><c>text_completion</c>, whole and in chunks.</summary>
internal sealed class CompletionFormat() : AnswerFormat(MetricNames.CompletionOperation, "cmpl-", "text_completion", "text_completion")
{
    public override ReadOnlySpan<byte> Opening => default;

    protected override ReadOnlySpan<byte> EmptyDelta => ",\"text\":\"\""u8;

    protected override void WriteDelta(scoped ref JsonSink json, ReadOnlySpan<byte> text, ReadOnlySpan<byte> members)
    {
        json.Raw(",\"text\":"u8);
        json.Text(text);
        if (members.IsEmpty)
            return;
        json.Raw(","u8);
        json.Raw(members);
    }

    protected override void WriteWhole(scoped ref JsonSink json, ReadOnlySpan<byte> text, ReadOnlySpan<byte> members) => WriteDelta(ref json, text, members);

    /// <summary>Four arrays with one element per token.</summary>
    protected override void WriteLogprobs(scoped ref JsonSink json, IReadOnlyList<TokenLogprob> tokens, ref int textOffset)
    {
        json.Raw("{\"tokens\":["u8);
        for (var i = 0; i < tokens.Count; i++)
        {
            json.Separate(i);
            json.Text(LogprobText.Of(tokens[i].Token.Span));
        }

        json.Raw("],\"token_logprobs\":["u8);
        for (var i = 0; i < tokens.Count; i++)
        {
            json.Separate(i);
            if (tokens[i].RawLogprob.IsEmpty)
                json.Number(tokens[i].Logprob);
            else
                json.Raw(RawDelta.Number(tokens[i].RawLogprob.Span));
        }

        json.Raw("],\"top_logprobs\":["u8);
        for (var i = 0; i < tokens.Count; i++)
        {
            json.Separate(i);
            if (tokens[i].RawTop.IsEmpty)
                WriteTop(ref json, tokens[i]);
            else
                json.Raw(RawDelta.Object(tokens[i].RawTop.Span));
        }

        json.Raw("],\"text_offset\":["u8);
        for (var i = 0; i < tokens.Count; i++)
        {
            json.Separate(i);
            textOffset = tokens[i].HasTextOffset ? tokens[i].TextOffset : textOffset;
            json.Number(textOffset);
            textOffset += CharactersBegun(tokens[i].Token.Span);
        }

        json.Raw("]}"u8);
    }

    // The token itself is always there, as OpenAI has it: with the number 0 it is the only one. A server's own values are not completed.
    private static void WriteTop(scoped ref JsonSink json, TokenLogprob token)
    {
        if (token.Top.Count == 0 && !token.RawLogprob.IsEmpty)
        {
            json.Raw("null"u8);
            return;
        }

        json.Raw("{"u8);
        var holdsItself = false;
        for (var k = 0; k < token.Top.Count; k++)
        {
            json.Separate(k);
            WriteEntry(ref json, token.Top[k]);
            holdsItself |= token.Top[k].Token == token.Token;
        }

        if (!holdsItself)
        {
            json.Separate(token.Top.Count);
            WriteEntry(ref json, token);
        }

        json.Raw("}"u8);
    }

    private static void WriteEntry(scoped ref JsonSink json, TokenLogprob token)
    {
        json.Text(LogprobText.Of(token.Token.Span));
        json.Raw(":"u8);
        json.Number(token.Logprob);
    }

    /// <summary>Counts characters by their first byte: a token may hold a part of one.</summary>
    private static int CharactersBegun(ReadOnlySpan<byte> utf8)
    {
        var count = 0;
        foreach (var value in utf8)
            count += (value & 0xC0) == 0x80 ? 0 : 1;
        return count;
    }
}
