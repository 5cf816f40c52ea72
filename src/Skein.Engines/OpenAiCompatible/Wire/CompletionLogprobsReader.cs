namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>Reads OpenAI's two forms of log probabilities. Ids that a form does not have are 0.</summary>
internal static class CompletionLogprobsReader
{
    /// <summary>The form of completions: <c>{"tokens":[…],"token_logprobs":[…],"top_logprobs":[{token:logprob}]}</c>.</summary>
    public static IReadOnlyList<TokenLogprob> Of(JsonElement choice, GenerateRequest request, IReadOnlyList<uint> ids)
    {
        if (choice.Member("logprobs") is not { } logprobs)
            return [];

        // llama.cpp has the form of chats.
        if (logprobs.Member("content") is not null)
            return OfTokens(logprobs.Elements("content"), request);

        if (!request.HasLogprobs)
            return [];

        var tokens = logprobs.Elements("tokens").ToList();
        var values = logprobs.Elements("token_logprobs").ToList();
        var tops = logprobs.Elements("top_logprobs").ToList();
        // A resumed answer is part of the prompt for the server: its offsets count from there.
        var offsets = request.Resume is { NextIndex: > 0 } ? [] : logprobs.Elements("text_offset").ToList();
        var read = new List<TokenLogprob>(tokens.Count);
        for (var i = 0; i < tokens.Count && i < values.Count; i++)
        {
            var text = tokens[i].GetString() ?? "";
            var logprob = Make(text, values[i], i < ids.Count ? ids[i] : 0);
            logprob.RawLogprob = ByteString.CopyFrom(JsonMarshal.GetRawUtf8Value(values[i]));
            if (i < offsets.Count && offsets[i].ValueKind == JsonValueKind.Number && offsets[i].TryGetInt32(out var offset))
                logprob.TextOffset = offset;

            List<JsonProperty> top = [];
            if (i < tops.Count && tops[i].ValueKind == JsonValueKind.Object)
            {
                logprob.RawTop = ByteString.CopyFrom(JsonMarshal.GetRawUtf8Value(tops[i]));
                top = [.. tops[i].EnumerateObject().OrderByDescending(token => Make(token.Name, token.Value, 0).Logprob).Take((int)request.Logprobs)];
                logprob.Top.Add(top.Select(token => Make(token.Name, token.Value, 0)));
            }

            // A chat that continues here began with the chat call, whose form it keeps.
            if (request.Chat is not null)
                logprob.Raw = ByteString.CopyFrom(ChatForm(text, values[i], top).ToBytes().Span);

            read.Add(logprob);
        }

        return ids.Count == 0 || read.Count == ids.Count ? read : [];
    }

    /// <summary>
    /// The form of chats, and of llama.cpp's own call: <c>[{"id","token","bytes","logprob","top_logprobs"}]</c>. Also those that the client asked for by a
    /// member of the server's own, such as <c>n_probs</c>.
    /// </summary>
    public static IReadOnlyList<TokenLogprob> OfTokens(IEnumerable<JsonElement> tokens, GenerateRequest request) =>
        [.. tokens.Select(token =>
        {
            var logprob = Read(token);
            logprob.Raw = ByteString.CopyFrom(JsonMarshal.GetRawUtf8Value(token));
            logprob.Top.Add(token.Elements("top_logprobs").Take((int)request.Logprobs).Select(Read));
            return logprob;
        })];

    private static RequestJson ChatForm(string token, JsonElement logprob, IReadOnlyList<JsonProperty>? top) => new RequestJson()
        .Text("token", token)
        .Raw("logprob", JsonMarshal.GetRawUtf8Value(logprob))
        .Raw("bytes", Encoding.UTF8.GetBytes($"[{string.Join(',', Encoding.UTF8.GetBytes(token))}]"))
        .Raw("top_logprobs", top is null ? default : ArrayOf(top.Select(likely => ChatForm(likely.Name, likely.Value, top: null).ToBytes())));

    private static byte[] ArrayOf(IEnumerable<ReadOnlyMemory<byte>> items) =>
        [(byte)'[', .. items.SelectMany((item, index) => index == 0 ? item.ToArray() : [(byte)',', .. item.Span]), (byte)']'];

    private static TokenLogprob Read(JsonElement token) => new()
    {
        TokenId = (uint)Math.Max(0, token.Whole("id") ?? 0),
        Token = token.Member("bytes") is { ValueKind: JsonValueKind.Array } bytes
            ? ByteString.CopyFrom([.. bytes.EnumerateArray().Select(unit => unit.GetByte())])
            : ByteString.CopyFromUtf8(token.Text("token") ?? ""),
        Logprob = (float)(token.Number("logprob") ?? 0),
    };

    private static TokenLogprob Make(string token, JsonElement logprob, uint id) => new()
    {
        TokenId = id,
        Token = ByteString.CopyFrom(token, Encoding.UTF8),
        Logprob = logprob.ValueKind == JsonValueKind.Number ? (float)logprob.GetDouble() : 0,
    };
}
