using System.Text.Unicode;
using Google.Protobuf;
using Skein.Gateway.Api.Http;
using static Skein.Protocol.RequestLimits;

namespace Skein.Gateway.Api.Grpc;

/// <summary>Applies to a client's protobuf request the limits that apply to JSON bodies. Pure.</summary>
internal static class GenerateRequestCheck
{
    /// <exception cref="RequestRefusedException">Names the field, its value and what is allowed.</exception>
    public static void Check(GenerateRequest request)
    {
        CheckGatewayFields(request);
        if (Encoding.UTF8.GetByteCount(request.Model) > ModelBytes)
            throw RequestRefusedException.Invalid("model", $"longer than {ModelBytes} bytes; allowed: 1 to {ModelBytes} bytes, or absent");
        if (!IsModel(request.Model))
            throw RequestRefusedException.Invalid("model", $"holds a control character; allowed: {ModelAllowed}, or absent");
        if (request.PromptCase is GenerateRequest.PromptOneofCase.None)
            throw RequestRefusedException.Missing("prompt", "one of text, token_ids, chat");
        if (request.TokenIds is { Ids.Count: 0 })
            throw RequestRefusedException.Invalid("token_ids.ids", "empty; allowed: at least one token id");
        if (request.Chat is { } chat)
            CheckChat(chat);
        if (request.Sampling is { } sampling)
            CheckSampling(sampling);
        Check("n", request.N != 0, request.N, Choices);
        Check("max_tokens", request.HasMaxTokens, request.MaxTokens, RequestLimits.MaxTokens);
        Check("logprobs", request.HasLogprobs, request.Logprobs, TopLogprobs);
        Check("priority", isSet: true, request.Priority, Priority);
        Check("deadline_ms", request.HasDeadlineMs, request.DeadlineMs, DeadlineMs);
        if (Encoding.UTF8.GetByteCount(request.SessionKey) > SessionKey.MaxBytes)
            throw RequestRefusedException.Invalid("session_key", $"longer than {SessionKey.MaxBytes} bytes; allowed: 1 to {SessionKey.MaxBytes}, or absent");
        if (!Enum.IsDefined(request.Failover))
        {
            var allowed = string.Join(", ", Enum.GetValues<FailoverPolicy>().Select(policy => (int)policy));
            throw RequestRefusedException.Invalid("failover", $"{(int)request.Failover} is not known; allowed: {allowed}");
        }
        CheckStop(request);
        CheckExtra(request);
    }

    private static void CheckGatewayFields(GenerateRequest request)
    {
        Refuse("choice", request.Choice != 0, request.Choice);
        Refuse("attempt", request.Attempt != 0, request.Attempt);
        Refuse("resume", request.Resume is not null, "");
        Refuse("hold", request.Hold, "true");
        Refuse("caller", request.Caller.Length > 0, "");
        Refuse("waited_ms", request.HasWaitedMs, request.WaitedMs);
        Refuse("next_waited_ms", request.HasNextWaitedMs, request.NextWaitedMs);
        Refuse("session", request.Session.Length > 0, "");
        Refuse("tenant", request.Tenant.Length > 0, "");
    }

    private static void Refuse<T>(string field, bool isSet, T value)
    {
        if (isSet)
            throw RequestRefusedException.Invalid(field, FormattableString.Invariant($"{value} is set by gateways; allowed: absent").TrimStart());
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
        var messages = new Utf8JsonReader(chat.Messages.Span, JsonBody.Strict);
        messages.Read();
        JsonField.Chat(ref messages);
    }

    private static void CheckSampling(Sampling sampling)
    {
        Refuse("sampling.raw", sampling.Raw.Count > 0, "");
        Check("sampling.temperature", sampling.HasTemperature, sampling.Temperature, Temperature);
        Check("sampling.top_p", sampling.HasTopP, sampling.TopP, TopP);
        Check("sampling.top_k", sampling.HasTopK, sampling.TopK, TopK);
        Check("sampling.min_p", sampling.HasMinP, sampling.MinP, MinP);
        Check("sampling.presence_penalty", sampling.HasPresencePenalty, sampling.PresencePenalty, Penalty);
        Check("sampling.frequency_penalty", sampling.HasFrequencyPenalty, sampling.FrequencyPenalty, Penalty);
        Check("sampling.repetition_penalty", sampling.HasRepetitionPenalty, sampling.RepetitionPenalty, RepetitionPenalty);
        if (sampling.LogitBias.Count > LogitBiases)
            throw RequestRefusedException.Invalid("sampling.logit_bias", $"{sampling.LogitBias.Count} tokens; allowed: up to {LogitBiases}");
        foreach (var (tokenId, bias) in sampling.LogitBias)
            Check(string.Create(CultureInfo.InvariantCulture, $"sampling.logit_bias[{tokenId}]"), isSet: true, bias, LogitBias);
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

    private static void Check(string field, bool isSet, double value, NumberRange allowed)
    {
        if (isSet && !allowed.Contains(value))
            throw RequestRefusedException.OutOfRange(field, value.ToString(CultureInfo.InvariantCulture), allowed.ToString());
    }

    /// <summary>Requires exactly one well-formed JSON value.</summary>
    /// <param name="types">Allowed types of the value; empty: any.</param>
    private static void CheckJson(string field, ByteString json, string allowed, params ReadOnlySpan<JsonTokenType> types)
    {
        if (!Utf8.IsValid(json.Span))
            throw RequestRefusedException.Json(field, $"not UTF-8; allowed: {allowed}");
        try
        {
            var reader = new Utf8JsonReader(json.Span, JsonBody.Strict);
            reader.Read();
            if (!types.IsEmpty && !types.Contains(reader.TokenType))
                throw RequestRefusedException.NotA(field, JsonExcerpt.Of(ref reader), allowed, allowed);
            reader.Skip();
            reader.Read(); // throws if anything follows the value
        }
        catch (JsonException e)
        {
            throw RequestRefusedException.Json(field, $"not valid JSON; allowed: {allowed}", e);
        }
        if (SurrogateEscapes.HoldHalf(json.Span))
            throw JsonBody.HalfSurrogate(field);
    }
}
