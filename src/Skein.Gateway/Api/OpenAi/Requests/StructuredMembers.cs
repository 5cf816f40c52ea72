using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.OpenAi.Requests;

/// <summary>Members whose value is an object or an array.</summary>
internal static class StructuredMembers
{
    public const string Prompt = "prompt";
    public const string PromptAllowed = "a string, an array of token ids, or an array of up to 128 of these";

    private static readonly string StopsAllowed = $"an array of up to {RequestLimits.StopTexts} strings, each of 1 to {RequestLimits.StopTextBytes} bytes";
    private static readonly string StopAllowed = $"a string, or {StopsAllowed}";

    public static void ReadStop(ref Utf8JsonReader reader, string name, ReadOnlyMemory<byte> body, OpenAiRequest request)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            request.Generate.Stop.Add(JsonField.Text(ref reader, name, 1, RequestLimits.StopTextBytes));
            return;
        }

        if (reader.TokenType != JsonTokenType.StartArray)
            throw RequestRefusedException.NotA(name, JsonExcerpt.Of(ref reader), "a string or an array", StopAllowed);
        ReadStopArray(ref reader, name, request, StopAllowed);
    }

    /// <summary>Reads stop texts of an API that knows only the list.</summary>
    public static void ReadStops(ref Utf8JsonReader reader, string name, ReadOnlyMemory<byte> body, OpenAiRequest request)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
            throw RequestRefusedException.NotA(name, JsonExcerpt.Of(ref reader), "an array", StopsAllowed);
        ReadStopArray(ref reader, name, request, StopsAllowed);
    }

    private static void ReadStopArray(ref Utf8JsonReader reader, string name, OpenAiRequest request, string allowed)
    {
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            var index = request.Generate.Stop.Count;
            if (index == RequestLimits.StopTexts)
                throw RequestRefusedException.Invalid(name, $"more than {RequestLimits.StopTexts} strings; allowed: {allowed}");
            request.Generate.Stop.Add(JsonField.Text(ref reader, $"{name}[{index}]", 1, RequestLimits.StopTextBytes));
        }
    }

    public static void ReadLogitBias(ref Utf8JsonReader reader, string name, ReadOnlyMemory<byte> body, OpenAiRequest request)
    {
        var start = reader;
        var biases = new Dictionary<uint, float>();
        if (reader.TokenType == JsonTokenType.StartArray)
        {
            // llama.cpp: [[id or text, bias or false]]. What is no id with a number is the engine's to read.
            if (!TryReadPairs(ref reader, name, biases))
                request.Generate.Extra.Add(new RawMember { Name = name, Json = JsonField.Verbatim(ref start, body) });
            else
                KeepBiases(ref start, name, body, biases, request);
            return;
        }

        if (reader.TokenType != JsonTokenType.StartObject)
            throw RequestRefusedException.NotA(
                name, JsonExcerpt.Of(ref reader), "an object or an array of pairs", "token ids with a bias of -100 to 100 each");
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            if (!uint.TryParse(reader.ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out var tokenId))
                throw RequestRefusedException.NotA(name, $"member {JsonExcerpt.Of(ref reader)}", "a token id", "0 to 4294967295");
            var field = string.Create(CultureInfo.InvariantCulture, $"{name}.{tokenId}");
            if (biases.Count == RequestLimits.LogitBiases)
                throw RequestRefusedException.Invalid(name, $"more than {RequestLimits.LogitBiases} tokens; allowed: up to {RequestLimits.LogitBiases}");
            reader.Read();
            if (!biases.TryAdd(tokenId, JsonField.Number(ref reader, field, RequestLimits.LogitBias)))
                throw RequestRefusedException.Twice(field);
        }

        KeepBiases(ref start, name, body, biases, request);
    }

    private static void KeepBiases(
        ref Utf8JsonReader start, string name, ReadOnlyMemory<byte> body, Dictionary<uint, float> biases, OpenAiRequest request)
    {
        request.Sampling.LogitBias.Add(biases);
        request.Sampling.Raw.Add(new RawMember { Name = name, Json = JsonField.Verbatim(ref start, body) });
    }

    private static bool TryReadPairs(ref Utf8JsonReader reader, string name, Dictionary<uint, float> biases)
    {
        var areIds = true;
        for (var index = 0; reader.Read() && reader.TokenType != JsonTokenType.EndArray; index++)
        {
            if (reader.TokenType != JsonTokenType.StartArray)
                throw RequestRefusedException.NotA($"{name}[{index}]", JsonExcerpt.Of(ref reader), "a pair", "[token id, bias of -100 to 100]");
            if (index == RequestLimits.LogitBiases)
                throw RequestRefusedException.Invalid(name, $"more than {RequestLimits.LogitBiases} tokens; allowed: up to {RequestLimits.LogitBiases}");
            uint id = 0;
            double bias = 0;
            var length = 0;
            for (; reader.Read() && reader.TokenType != JsonTokenType.EndArray; length++)
            {
                areIds &= reader.TokenType == JsonTokenType.Number
                    && (length == 0 ? reader.TryGetUInt32(out id) : reader.TryGetDouble(out bias) && RequestLimits.LogitBias.Contains(bias));
                reader.Skip();
            }

            areIds &= length == 2;
            biases[id] = (float)bias;
        }

        return areIds;
    }

    /// <summary>Reads <c>include_usage</c>. If the object has other members, all of it also goes to the engine.</summary>
    public static void ReadStreamOptions(ref Utf8JsonReader reader, string name, ReadOnlyMemory<byte> body, OpenAiRequest request)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
            throw RequestRefusedException.NotA(name, JsonExcerpt.Of(ref reader), "an object", "an object");
        var start = reader;
        bool seen = false, hasMore = false;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            // Not ValueTextEquals: it throws on half a surrogate pair.
            if (reader.ValueIsEscaped || !reader.ValueSpan.SequenceEqual("include_usage"u8))
            {
                hasMore = true;
                reader.Read();
                reader.Skip();
                continue;
            }

            if (seen)
                throw RequestRefusedException.Twice($"{name}.include_usage");
            seen = true;
            reader.Read();
            if (reader.TokenType != JsonTokenType.Null)
                request.IncludeUsage = JsonField.Flag(ref reader, $"{name}.include_usage");
        }

        if (hasMore)
            request.Generate.Extra.Add(new RawMember { Name = name, Json = JsonField.Verbatim(ref start, body) });
    }

    /// <summary>Text, token ids, or an array of these.</summary>
    public static void ReadPrompt(ref Utf8JsonReader reader, string name, ReadOnlyMemory<byte> body, OpenAiRequest request)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.String:
                request.Generate.Text = JsonField.Text(ref reader, name, 0, int.MaxValue);
                return;
            case JsonTokenType.StartArray:
                ReadPromptArray(ref reader, request);
                return;
            default:
                throw RequestRefusedException.NotA(name, JsonExcerpt.Of(ref reader), "a prompt", PromptAllowed);
        }
    }

    private static void ReadPromptArray(ref Utf8JsonReader reader, OpenAiRequest request)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.Number)
        {
            request.Generate.TokenIds = ReadTokenIds(ref reader, Prompt);
            return;
        }

        var prompts = new List<CompletionPrompt>();
        for (; reader.TokenType != JsonTokenType.EndArray; reader.Read())
        {
            if (prompts.Count == RequestLimits.Prompts)
                throw RequestRefusedException.Invalid(Prompt, $"more than {RequestLimits.Prompts} prompts; allowed: {PromptAllowed}");
            prompts.Add(ReadOne(ref reader, $"{Prompt}[{prompts.Count}]"));
        }

        switch (prompts)
        {
            case []:
                throw RequestRefusedException.Invalid(Prompt, $"[] is empty; allowed: {PromptAllowed}");
            case [{ Text: { } text }]:
                request.Generate.Text = text;
                break;
            case [{ Ids: { } ids }]:
                request.Generate.TokenIds = ids;
                break;
            default:
                request.Prompts = prompts;
                break;
        }
    }

    private static CompletionPrompt ReadOne(ref Utf8JsonReader reader, string field)
    {
        if (reader.TokenType == JsonTokenType.String)
            return new CompletionPrompt(JsonField.Text(ref reader, field, 0, int.MaxValue), Ids: null);
        if (reader.TokenType != JsonTokenType.StartArray)
            throw RequestRefusedException.NotA(field, JsonExcerpt.Of(ref reader), "a prompt", PromptAllowed);
        reader.Read();
        return new CompletionPrompt(Text: null, ReadTokenIds(ref reader, field));
    }

    private static TokenIds ReadTokenIds(ref Utf8JsonReader reader, string field)
    {
        var ids = new TokenIds();
        for (; reader.TokenType != JsonTokenType.EndArray; reader.Read())
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetUInt32(out var id))
                throw RequestRefusedException.NotA($"{field}[{ids.Ids.Count}]", JsonExcerpt.Of(ref reader), "a token id", "0 to 4294967295");
            ids.Ids.Add(id);
        }

        return ids.Ids.Count > 0 ? ids : throw RequestRefusedException.Invalid(field, $"[] is empty; allowed: {PromptAllowed}");
    }
}
