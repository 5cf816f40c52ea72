using Skein.Engines.OpenAiCompatible.Reasoning;
using Skein.Engines.OpenAiCompatible.Tokens;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.SgLang;

/// <summary>SGLang's own <c>/generate</c> with <c>input_ids</c>, and its <c>/tokenize</c>, which renders chats too.</summary>
/// <param name="parser">Name of the server's parser of reasoning; null: it was started without one.</param>
/// <param name="reportsCache">Whether its own calls for chats and completions tell how much of a prompt was cached.</param>
internal sealed class SgLangDialect(EngineHttp http, string? parser, bool reportsCache) : ITokenDialect
{
    private readonly ServerTokenizer _tokenizer = new(http);

    public string? StopMember => "matched_stop";

    public ValueTask<uint[]> CanaryAsync(string model, CancellationToken cancellationToken) => EngineCanary.AskAsync(
        http,
        "generate",
        new RequestJson()
            .Text("text", EngineCanary.Prompt)
            .Object("sampling_params", sampling => sampling.Whole("max_new_tokens", EngineCanary.AnswerTokens).Number("temperature", 0)),
        answer => answer.Ids("output_ids"),
        "output_ids",
        cancellationToken);

    // Its templates do not show the marks: it renders a last message of the assistant as one of the user. Its parser is asked.
    public async ValueTask<ReasoningForm?> ReasoningFormAsync(string model, CancellationToken cancellationToken)
    {
        if (parser is null)
            return null;

        foreach (var form in ReasoningForm.Usual)
        {
            var marked = $"{form.Open}{ReasoningForm.SampleReasoning}{form.Close}{ReasoningForm.SampleContent}";
            if (await DivideAsync(marked, cancellationToken) is (ReasoningForm.SampleReasoning, ReasoningForm.SampleContent))
            {
                var (reasoning, _) = await DivideAsync(ReasoningForm.SampleReasoning, cancellationToken);
                var inside = form with { BeginsInside = reasoning.Length > 0 };
                return await inside.WithIdsAsync(text => _tokenizer.TextAsync(text, model, cancellationToken, addSpecial: false));
            }
        }

        return null;
    }

    private async ValueTask<(string Reasoning, string Content)> DivideAsync(string text, CancellationToken cancellationToken)
    {
        var answer = await http.AskAsync(
            "separate_reasoning", new RequestJson().Text("text", text).Text("reasoning_parser", parser!).ToBytes(), cancellationToken);
        return (answer.Text("reasoning_text") ?? "", answer.Text("text") ?? "");
    }

    public ValueTask<uint[]> PromptIdsAsync(GenerateRequest request, string model, CancellationToken cancellationToken) => request.Chat is null
        ? _tokenizer.TextAsync(request.Text, model, cancellationToken)
        : _tokenizer.ChatAsync(request, model, cancellationToken);

    public async ValueTask<byte[]> TextOfAsync(TokenCall call, CancellationToken cancellationToken) =>
        await new ResumedText(_tokenizer, call).BeginAsync(cancellationToken);

    public async IAsyncEnumerable<TokenStep> GenerateAsync(TokenCall call, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var text = new ResumedText(_tokenizer, call);
        await text.BeginAsync(cancellationToken);
        var growth = new SgLangEventReader();
        var asked = new SgLangAskedIds(call.Request, call.Prompt, call.Answer);
        await foreach (var step in http.StreamAsync("generate", Body(call), HasEnd, call.Request, cancellationToken))
        {
            if (step is not { } data)
            {
                yield return TokenStep.Alive;
                continue;
            }

            var (ids, added) = growth.Take(data);
            var finish = FinishOf(data) ?? default;
            var end = EndOf(finish);
            var isEndToken = end.Reason == FinishReason.Stop && ids.Length > 0 && finish.Whole("matched") == (int)ids[^1];
            var kept = isEndToken ? ids[..^1] : ids;
            asked.Add(kept);
            var logprobs = SgLangLogprobs.Of(data, call.Request, ids.Length);
            yield return new TokenStep(kept, await text.AddAsync(kept, added, cancellationToken), [.. logprobs.Take(kept.Length)], end)
            {
                HasEndToken = isEndToken,
                CachedTokens = reportsCache ? data.Member("meta_info")?.Whole("cached_tokens") : null,
                UsageMembers = UsageOf(data),
                Choice = RawMembers.Join(
                    isEndToken ? new RequestJson().Whole(StopMember!, (int)ids[^1]).ToBytes() : default, end.IsEnd ? asked.ToMembers() : default),
            };
        }
    }

    // Its calls for ids do not count the reasoning that its parser divides.
    private ReadOnlyMemory<byte> UsageOf(JsonElement data) => parser is null && data.Member("meta_info")?.Whole(SgLangUsage.ReasoningTokens) is { } reasoned
        ? SgLangUsage.Write(reasoned)
        : default;

    public IAnswerUsage? UsageOf(ReasoningForm? form, bool isDivided) =>
        isDivided && form is { CloseId: { } close } ? new SgLangUsage(close) : null;

    private static bool HasEnd(JsonElement data) => FinishOf(data) is not null;

    private static JsonElement? FinishOf(JsonElement data) => data.Member("meta_info")?.Member("finish_reason");

    private static ReadOnlyMemory<byte> Body(TokenCall call) => SgLangLogprobs.Ask(new RequestJson(), call.Request)
        .Ids("input_ids", call.Ids).Flag("stream", true)
        .Object("sampling_params", sampling => sampling.Whole("max_new_tokens", call.Rest).OpenAiSampling(call.Request.Sampling, "sampling_seed"))
        .ToBytes();

    private AnswerEnd EndOf(JsonElement finish) => finish.Text("type") switch
    {
        "abort" => throw new FaultException(Fault.EngineFailed, $"{http.Name} aborted the request: {finish.Text("message")}"),
        var type => FinishReasons.Read(type),
    };
}
