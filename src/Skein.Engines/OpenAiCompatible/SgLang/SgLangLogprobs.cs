using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.SgLang;

/// <summary>
/// The log probabilities of SGLang's <c>/generate</c>, <c>[logprob, id, text]</c>, as its chat call has them. For chats only: its completions count the
/// offsets of texts in another way.
/// </summary>
internal static class SgLangLogprobs
{
    /// <summary>Asks for them.</summary>
    public static RequestJson Ask(RequestJson body, GenerateRequest request) => !request.HasLogprobs ? body
        : body.Flag("return_logprob", true).Whole("top_logprobs_num", request.Logprobs).Flag("return_text_in_logprobs", true);

    /// <summary>Those of the last tokens of an event, one each; none if the event has fewer.</summary>
    /// <param name="tokens">Number of tokens that the event adds.</param>
    public static IReadOnlyList<TokenLogprob> Of(JsonElement data, GenerateRequest request, int tokens)
    {
        if (!request.HasLogprobs || data.Member("meta_info") is not { } meta)
            return [];

        // Lists repeat the answer from its beginning, or not, as its text does.
        var said = meta.Elements("output_token_logprobs").TakeLast(tokens).ToList();
        var tops = meta.Elements("output_top_logprobs").TakeLast(tokens).ToList();
        return said.Count < tokens ? [] : [.. said.Select((entry, i) => Read(entry, i < tops.Count ? tops[i] : default))];
    }

    private static TokenLogprob Read(JsonElement entry, JsonElement top)
    {
        var (logprob, id, text) = PartsOf(entry);
        List<JsonElement> likely = top.ValueKind == JsonValueKind.Array ? [.. top.EnumerateArray()] : [];
        var read = new TokenLogprob { TokenId = id, Token = ByteString.CopyFromUtf8(text), Logprob = Value(logprob) };
        read.Top.Add(likely.Select(PartsOf).Select(part => new TokenLogprob
        {
            TokenId = part.Id, Token = ByteString.CopyFromUtf8(part.Text), Logprob = Value(part.Logprob),
        }));
        var tops = string.Join(',', likely.Select(part => Encoding.UTF8.GetString(FormOf(part).ToBytes().Span)));
        read.Raw = ByteString.CopyFrom(FormOf(entry).Raw("top_logprobs", Encoding.UTF8.GetBytes($"[{tops}]")).ToBytes().Span);
        return read;
    }

    private static RequestJson FormOf(JsonElement entry)
    {
        var (logprob, _, text) = PartsOf(entry);
        return new RequestJson()
            .Text("token", text)
            .Raw("bytes", Encoding.UTF8.GetBytes($"[{string.Join(',', Encoding.UTF8.GetBytes(text))}]"))
            .Raw("logprob", JsonMarshal.GetRawUtf8Value(logprob));
    }

    private static (JsonElement Logprob, uint Id, string Text) PartsOf(JsonElement entry)
    {
        if (entry.ValueKind != JsonValueKind.Array || entry.GetArrayLength() < 3 || !entry[1].TryGetUInt32(out var id)
            || entry[2].ValueKind != JsonValueKind.String)
        {
            throw new FaultException(Fault.EngineFailed, "SGLang sent a log probability that is not [logprob, id, text]");
        }

        return (entry[0], id, entry[2].GetString()!);
    }

    private static float Value(JsonElement logprob) => logprob.ValueKind == JsonValueKind.Number ? (float)logprob.GetDouble() : 0;
}
