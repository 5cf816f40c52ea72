using System.Buffers;
using System.Text.Encodings.Web;
using Skein.Engines.Embedded.Sampling;
using Skein.Engines.Embedded.Tokens;
using Skein.Engines.Text;

namespace Skein.Engines.Embedded.Generation;

/// <summary>
/// The log probabilities of all tokens of a prompt and its answer, as completions report them with <c>echo</c>: evaluation harnesses read the likelihood
/// of a given text there. Not safe for concurrent use.
/// </summary>
internal sealed class PromptScores
{
    // Without escapes that only HTML needs.
    private static readonly JsonWriterOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly Vocabulary _vocabulary;
    private readonly int _top;
    private readonly List<(int Id, TokenLogprob? Logprob)> _tokens = [];

    /// <param name="top">How many of the likeliest tokens to report with each token.</param>
    /// <param name="first">The first token, of which nothing was expected.</param>
    public PromptScores(Vocabulary vocabulary, int top, int first)
    {
        (_vocabulary, _top) = (vocabulary, top);
        _tokens.Add((first, null));
    }

    /// <param name="logits">After the tokens so far.</param>
    /// <param name="id">The next token.</param>
    public void Add(ReadOnlySpan<float> logits, int id) => _tokens.Add((id, Logprobs.Of(logits, id, _top, _vocabulary)));

    /// <summary>The four lists of OpenAI's completions, with one element for each token. The first token has no log probability.</summary>
    public ByteString ToJson()
    {
        var bytes = new ArrayBufferWriter<byte>(64 * _tokens.Count);
        using (var json = new Utf8JsonWriter(bytes, Plain))
        {
            json.WriteStartObject();
            WriteList(json, "tokens", token => json.WriteStringValue(LogprobText.Of(_vocabulary.BytesOf(token.Id))));
            WriteList(json, "token_logprobs", token => WriteNumber(json, token.Logprob?.Logprob));
            WriteList(json, "top_logprobs", token => WriteTop(json, token.Logprob));
            var offset = 0;
            WriteList(json, "text_offset", token =>
            {
                json.WriteNumberValue(offset);
                offset += AnswerText.Characters(_vocabulary.AnswerBytesOf(token.Id));
            });
            json.WriteEndObject();
        }

        return ByteString.CopyFrom(bytes.WrittenSpan);
    }

    private void WriteList(Utf8JsonWriter json, string name, Action<(int Id, TokenLogprob? Logprob)> write)
    {
        json.WriteStartArray(name);
        foreach (var token in _tokens)
            write(token);
        json.WriteEndArray();
    }

    // The token itself is always there, as OpenAI has it. Of tokens with the same text, the likelier one counts.
    private static void WriteTop(Utf8JsonWriter json, TokenLogprob? token)
    {
        if (token is null)
        {
            json.WriteNullValue();
            return;
        }

        json.WriteStartObject();
        foreach (var entry in token.Top.Append(token).DistinctBy(entry => entry.Token))
        {
            json.WritePropertyName(LogprobText.Of(entry.Token.Span));
            WriteNumber(json, entry.Logprob);
        }

        json.WriteEndObject();
    }

    private static void WriteNumber(Utf8JsonWriter json, float? value)
    {
        if (value is { } number)
            json.WriteNumberValue(number);
        else
            json.WriteNullValue();
    }
}
