using Skein.Engines.OpenAiCompatible.Reasoning;
using Skein.Engines.OpenAiCompatible.Tokens;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.SgLang;

/// <summary>SGLang's own <c>/generate</c> with <c>input_ids</c>, and its <c>/tokenize</c>, which renders chats too.</summary>
internal sealed class SgLangDialect(EngineHttp http) : ITokenDialect
{
    private readonly ServerTokenizer _tokenizer = new(http);

    public ValueTask<uint[]> CanaryAsync(string model, CancellationToken cancellationToken) => EngineCanary.AskAsync(
        http,
        "generate",
        new RequestJson()
            .Text("text", EngineCanary.Prompt)
            .Object("sampling_params", sampling => sampling.Whole("max_new_tokens", EngineCanary.AnswerTokens).Number("temperature", 0)),
        answer => answer.Ids("output_ids"),
        "output_ids",
        cancellationToken);

    // It renders a last message of the assistant as one of the user. A chat that reasons is recognised by its answer, and goes through the chat call.
    public ValueTask<ReasoningForm?> ReasoningFormAsync(string model, CancellationToken cancellationToken) => ValueTask.FromResult<ReasoningForm?>(null);

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
            yield return new TokenStep(kept, await text.AddAsync(kept, added, cancellationToken), [], end)
            {
                HasEndToken = isEndToken,
                CachedTokens = data.Member("meta_info")?.Whole("cached_tokens"),
            };
        }
    }

    private static bool HasEnd(JsonElement data) => FinishOf(data) is not null;

    private static JsonElement? FinishOf(JsonElement data) => data.Member("meta_info")?.Member("finish_reason");

    private static ReadOnlyMemory<byte> Body(TokenCall call) => new RequestJson()
        .Ids("input_ids", call.Ids).Flag("stream", true)
        .Object("sampling_params", sampling => sampling.Whole("max_new_tokens", call.Rest).OpenAiSampling(call.Request.Sampling, "sampling_seed"))
        .ToBytes();

    private AnswerEnd EndOf(JsonElement finish) => finish.Text("type") switch
    {
        "abort" => throw new FaultException(Fault.EngineFailed, $"{http.Name} aborted the request: {finish.Text("message")}"),
        var type => FinishReasons.Read(type),
    };
}
