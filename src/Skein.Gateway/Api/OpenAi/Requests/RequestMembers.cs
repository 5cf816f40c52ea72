using Google.Protobuf;
using Member = Skein.Gateway.Api.Http.JsonMember<Skein.Gateway.Api.OpenAi.Requests.OpenAiRequest>;
using Skein.Gateway.Api.Http;
using static Skein.Protocol.RequestLimits;

namespace Skein.Gateway.Api.OpenAi.Requests;

/// <summary>The members that routing, sampling or resuming needs. Every other member goes to the engine byte for byte.</summary>
internal static class RequestMembers
{
    private static readonly NumberRange FromMinusOne = new(-1, int.MaxValue);

    /// <summary>The members that mean the same in every API that has them.</summary>
    public static readonly Member[] Shared =
    [
        new("model", ReadModel),
        Member.Whole("n", Choices, (request, value) => request.Generate.N = value),
        Limit("max_tokens", (request, value) => request.MaxTokens = value),
        Limit("max_completion_tokens", (request, value) => request.MaxCompletionTokens = value),
        Sampled("temperature", Temperature, (sampling, value) => sampling.Temperature = value),
        Sampled("top_p", TopP, (sampling, value) => sampling.TopP = value),
        new("top_k", ReadTopK),
        Sampled("min_p", MinP, (sampling, value) => sampling.MinP = value),
        new("seed", ReadSeed),
        Sampled("presence_penalty", Penalty, (sampling, value) => sampling.PresencePenalty = value),
        Sampled("frequency_penalty", Penalty, (sampling, value) => sampling.FrequencyPenalty = value),
        Sampled("repetition_penalty", RepetitionPenalty, (sampling, value) => sampling.RepetitionPenalty = value),
        new("logit_bias", StructuredMembers.ReadLogitBias),
        new("stop", StructuredMembers.ReadStop),
        Member.Flag("stream", (request, value) => request.Stream = value),
        new("stream_options", StructuredMembers.ReadStreamOptions),
    ];

    /// <summary><c>POST /v1/chat/completions</c></summary>
    public static readonly JsonMembers<OpenAiRequest> Chat = new(
    [
        .. Shared,
        .. TypedMembers.Chat,
        new(ChatJson.Messages, ReadMessages),
        new("tools", ToolTypes.ReadTools),
        new("tool_choice", ToolTypes.ReadChoice),
        new("response_format", ToolTypes.ReadFormat),
        Member.Flag("logprobs", (request, value) => request.Logprobs = value),
        Member.Whole("top_logprobs", RequestLimits.TopLogprobs, (request, value) => request.TopLogprobs = value),
    ], request => request.Generate.Extra, SettleChat);

    /// <summary><c>POST /v1/completions</c></summary>
    public static readonly JsonMembers<OpenAiRequest> Completion = new(
    [
        .. Shared,
        .. TypedMembers.Completion,
        new(StructuredMembers.Prompt, StructuredMembers.ReadPrompt),
        Member.Whole("logprobs", RequestLimits.TopLogprobs, (request, value) => request.Generate.Logprobs = value),
        Member.Flag("echo", (request, value) => request.Generate.Echo = value),
    ], request => request.Generate.Extra, SettleCompletion);

    private static void ReadModel(ref Utf8JsonReader reader, string name, ReadOnlyMemory<byte> body, OpenAiRequest request)
    {
        var model = JsonField.Text(ref reader, name, 1, ModelBytes);
        request.Generate.Model = IsModel(model)
            ? model
            : throw RequestRefusedException.Invalid(name, $"{JsonExcerpt.Of(ref reader)} holds a control character; allowed: {ModelAllowed}");
    }

    // -1 asks for a random seed, as an absent one does.
    private static void ReadSeed(ref Utf8JsonReader reader, string name, ReadOnlyMemory<byte> body, OpenAiRequest request)
    {
        if (!IsMinusOne(ref reader))
            request.Sampling.Seed = JsonField.Bits(ref reader, name);
    }

    // -1 and 0 set no limit.
    private static void ReadTopK(ref Utf8JsonReader reader, string name, ReadOnlyMemory<byte> body, OpenAiRequest request) =>
        request.Sampling.TopK = IsMinusOne(ref reader) ? 0 : JsonField.Whole(ref reader, name, FromMinusOne);

    /// <summary>A number of tokens; -1, which sets no limit on some engines, is the engine's to read.</summary>
    private static Member Limit(string name, Action<OpenAiRequest, uint> set) => new(
        name,
        (ref Utf8JsonReader reader, string field, ReadOnlyMemory<byte> body, OpenAiRequest request) =>
        {
            if (IsMinusOne(ref reader))
                request.Generate.Extra.Add(new RawMember { Name = field, Json = JsonField.Verbatim(ref reader, body) });
            else
                set(request, JsonField.Whole(ref reader, field, FromMinusOne));
        });

    /// <summary>A number that the engine gets as the client wrote it. Servers differ in the ranges that they allow.</summary>
    private static Member Sampled(string name, NumberRange usual, Action<Sampling, float> set) => new(
        name,
        (ref Utf8JsonReader reader, string field, ReadOnlyMemory<byte> body, OpenAiRequest request) =>
        {
            var start = reader;
            set(request.Sampling, JsonField.AnyNumber(ref reader, field, usual));
            request.Sampling.Raw.Add(new RawMember { Name = field, Json = JsonField.Verbatim(ref start, body) });
        });

    private static bool IsMinusOne(ref Utf8JsonReader reader) =>
        reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out var value) && value == -1;

    private static void ReadMessages(ref Utf8JsonReader reader, string name, ReadOnlyMemory<byte> body, OpenAiRequest request)
    {
        var start = reader;
        JsonField.Chat(ref reader);
        request.Chat.Messages = JsonField.Verbatim(ref start, body);
    }

    private static void SettleChat(OpenAiRequest request)
    {
        if (request.Generate.Chat is null || request.Chat.Messages.IsEmpty)
            throw RequestRefusedException.Missing(ChatJson.Messages, "an array of at least one message");
        SettleMaxTokens(request);
        if (request is { TopLogprobs: > 0 and var top, Logprobs: not true })
            throw RequestRefusedException.Invalid("top_logprobs", $"{top} without logprobs; allowed: only with logprobs: true");
        if (request.Logprobs is true)
            request.Generate.Logprobs = request.TopLogprobs ?? 0;
        if (request.TopLogprobs is 0)
            KeepZero(request, "top_logprobs");
    }

    private static void SettleCompletion(OpenAiRequest request)
    {
        if (request.Generate.PromptCase is GenerateRequest.PromptOneofCase.None && request.Prompts is null)
            throw RequestRefusedException.Missing(StructuredMembers.Prompt, StructuredMembers.PromptAllowed);
        if (request.Prompts is { } prompts && prompts.Count * request.Generate.N > RequestLimits.Prompts)
            throw RequestRefusedException.Invalid("n", $"{request.Generate.N} for each of {prompts.Count} prompts; allowed: {RequestLimits.Prompts} in total");
        SettleMaxTokens(request);
        if (request.Generate is { HasLogprobs: true, Logprobs: 0 })
            KeepZero(request, "logprobs");
    }

    private static void SettleMaxTokens(OpenAiRequest request)
    {
        if (request is { MaxTokens: { } old, MaxCompletionTokens: { } current } && old != current)
            throw RequestRefusedException.Invalid("max_tokens", $"{old} contradicts max_completion_tokens {current}; allowed: one of them, or both equal");
        if ((request.MaxCompletionTokens ?? request.MaxTokens) is { } maxTokens)
            request.Generate.MaxTokens = maxTokens;
    }

    // Servers differ in what it means, and an absent one means something else.
    private static void KeepZero(OpenAiRequest request, string name) =>
        request.Generate.Extra.Add(new RawMember { Name = name, Json = ByteString.CopyFromUtf8("0") });
}
