using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Google.Protobuf;
using Skein.Protocol;
using Skein.Protocol.V1;
using static Skein.Protocol.RequestLimits;

namespace Skein.Gateway.Api.Grpc;

/// <summary>Holds a client's protobuf request to the same limits as a JSON body. Pure.</summary>
internal static class GenerateRequestCheck
{
    private const string OnlyGateways = "is set by gateways; allowed: absent";

    private static readonly JsonReaderOptions Strict = new() { MaxDepth = JsonDepth };

    /// <exception cref="RequestRefusedException">Names the field, its value and what is allowed.</exception>
    public static void Check(GenerateRequest request)
    {
        CheckOwnFields(request);
        if (Encoding.UTF8.GetByteCount(request.Model) > ModelBytes)
            throw RequestRefusedException.Invalid("model", $"longer than {ModelBytes} bytes; allowed: 1 to {ModelBytes} bytes, or absent");
        if (!IsModel(request.Model))
            throw RequestRefusedException.Invalid("model", $"holds a control character; allowed: {ModelAllowed}, or absent");
        CheckPrompt(request);
        if (request.Sampling is { } sampling)
            CheckSampling(sampling);
        if (request.N != 0)
            CheckNumber("n", request.N, Choices);
        if (request.HasMaxTokens)
            CheckNumber("max_tokens", request.MaxTokens, RequestLimits.MaxTokens);
        if (request.HasLogprobs)
            CheckNumber("logprobs", request.Logprobs, TopLogprobs);
        CheckNumber("priority", request.Priority, Priority);
        if (!Enum.IsDefined(request.Failover))
            throw RequestRefusedException.Invalid("failover", $"{(int)request.Failover} is not known; allowed: {string.Join(", ", Enum.GetValues<FailoverPolicy>().Select(policy => (int)policy))}");
        CheckStop(request);
        CheckExtra(request);
    }

    private static void CheckOwnFields(GenerateRequest request)
    {
        if (request.Choice != 0)
            throw RequestRefusedException.Invalid("choice", $"{request.Choice} {OnlyGateways}");
        if (request.Attempt != 0)
            throw RequestRefusedException.Invalid("attempt", $"{request.Attempt} {OnlyGateways}");
        if (request.Resume is not null)
            throw RequestRefusedException.Invalid("resume", OnlyGateways);
        if (request.Hold)
            throw RequestRefusedException.Invalid("hold", $"true {OnlyGateways}");
        if (request.Caller.Length > 0)
            throw RequestRefusedException.Invalid("caller", OnlyGateways);
        if (request.HasWaitedMs)
            throw RequestRefusedException.Invalid("waited_ms", $"{request.WaitedMs} {OnlyGateways}");
        if (request.HasNextWaitedMs)
            throw RequestRefusedException.Invalid("next_waited_ms", $"{request.NextWaitedMs} {OnlyGateways}");
        if (request.Session.Length > 0)
            throw RequestRefusedException.Invalid("session", OnlyGateways);
    }

    private static void CheckPrompt(GenerateRequest request)
    {
        switch (request.PromptCase)
        {
            case GenerateRequest.PromptOneofCase.Text:
                return;
            case GenerateRequest.PromptOneofCase.TokenIds:
                if (request.TokenIds.Ids.Count == 0)
                    throw RequestRefusedException.Invalid("token_ids.ids", "empty; allowed: at least one token id");
                return;
            case GenerateRequest.PromptOneofCase.Chat:
                CheckChat(request.Chat);
                return;
            default:
                throw RequestRefusedException.Missing("prompt", "one of text, token_ids, chat");
        }
    }

    private static void CheckChat(ChatPrompt chat)
    {
        if (chat.Messages.IsEmpty)
            throw RequestRefusedException.Missing("chat.messages", "a JSON array of at least one message");
        CheckJson("chat.messages", chat.Messages, "an array", JsonTokenType.StartArray);
        if (!chat.Tools.IsEmpty)
            CheckJson("chat.tools", chat.Tools, "an array", JsonTokenType.StartArray);
        if (!chat.ToolChoice.IsEmpty)
            CheckJson("chat.tool_choice", chat.ToolChoice, "a string or an object", JsonTokenType.String, JsonTokenType.StartObject);
        if (!chat.ResponseFormat.IsEmpty)
            CheckJson("chat.response_format", chat.ResponseFormat, "an object", JsonTokenType.StartObject);
        var messages = new Utf8JsonReader(chat.Messages.Span, Strict);
        messages.Read();
        ChatMessages.Check(ref messages);
    }

    private static void CheckSampling(Sampling sampling)
    {
        if (sampling.HasTemperature)
            CheckNumber("sampling.temperature", sampling.Temperature, Temperature);
        if (sampling.HasTopP)
            CheckNumber("sampling.top_p", sampling.TopP, TopP);
        if (sampling.HasTopK)
            CheckNumber("sampling.top_k", sampling.TopK, TopK);
        if (sampling.HasMinP)
            CheckNumber("sampling.min_p", sampling.MinP, MinP);
        if (sampling.HasPresencePenalty)
            CheckNumber("sampling.presence_penalty", sampling.PresencePenalty, Penalty);
        if (sampling.HasFrequencyPenalty)
            CheckNumber("sampling.frequency_penalty", sampling.FrequencyPenalty, Penalty);
        if (sampling.HasRepetitionPenalty)
            CheckNumber("sampling.repetition_penalty", sampling.RepetitionPenalty, RepetitionPenalty);
        if (sampling.LogitBias.Count > LogitBiases)
            throw RequestRefusedException.Invalid("sampling.logit_bias", $"{sampling.LogitBias.Count} tokens; allowed: up to {LogitBiases}");
        foreach (var (tokenId, bias) in sampling.LogitBias)
            CheckNumber(string.Create(CultureInfo.InvariantCulture, $"sampling.logit_bias[{tokenId}]"), bias, LogitBias);
    }

    private static void CheckStop(GenerateRequest request)
    {
        if (request.Stop.Count > StopTexts)
            throw RequestRefusedException.Invalid("stop", $"{request.Stop.Count} texts; allowed: up to {StopTexts}");
        for (var i = 0; i < request.Stop.Count; i++)
        {
            var bytes = Encoding.UTF8.GetByteCount(request.Stop[i]);
            if (bytes is 0 or > StopTextBytes)
                throw RequestRefusedException.Invalid($"stop[{i}]", $"{bytes} bytes; allowed: 1 to {StopTextBytes} bytes");
        }
    }

    private static void CheckExtra(GenerateRequest request)
    {
        if (request.Extra.Count > ExtraMembers)
            throw RequestRefusedException.Invalid("extra", $"{request.Extra.Count} members; allowed: up to {ExtraMembers}");
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var member in request.Extra)
        {
            var field = $"extra[{seen.Count}]";
            if (member.Name.Length is 0 or > MemberNameChars)
                throw RequestRefusedException.Invalid($"{field}.name", $"{member.Name.Length} characters; allowed: 1 to {MemberNameChars}");
            if (!seen.Add(member.Name))
                throw RequestRefusedException.Twice($"{field}.name");
            CheckJson($"{field}.json", member.Json, "a JSON value");
        }
    }

    private static void CheckNumber(string field, double value, NumberRange allowed)
    {
        if (!allowed.Contains(value))
            throw RequestRefusedException.OutOfRange(field, value.ToString(CultureInfo.InvariantCulture), allowed.ToString());
    }

    /// <summary>Exactly one JSON value, well-formed to its end.</summary>
    /// <param name="types">What its outermost token may be; empty: anything.</param>
    private static void CheckJson(string field, ByteString json, string allowed, params ReadOnlySpan<JsonTokenType> types)
    {
        if (!Utf8.IsValid(json.Span))
            throw RequestRefusedException.Json(field, $"not UTF-8; allowed: {allowed}");
        try
        {
            var reader = new Utf8JsonReader(json.Span, Strict);
            reader.Read();
            if (!types.IsEmpty && !types.Contains(reader.TokenType))
                throw RequestRefusedException.NotA(field, JsonField.Describe(ref reader), allowed, allowed);
            reader.Skip();
            reader.Read(); // throws where something follows the value
        }
        catch (JsonException e)
        {
            throw RequestRefusedException.Json(field, $"not valid JSON; allowed: {allowed}", e);
        }
    }
}
