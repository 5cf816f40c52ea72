using Skein.Engines.OpenAiCompatible.Reasoning;
using Skein.Engines.OpenAiCompatible.Texts;
using Skein.Engines.OpenAiCompatible.Tokens;
using Skein.Engines.OpenAiCompatible.Tools;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.Vllm;

/// <summary>vLLM: <c>/tokenize</c>, <c>/detokenize</c>, and <c>/v1/completions</c> with token ids in and out.</summary>
internal sealed class VllmDialect(EngineHttp http) : ITokenDialect
{
    private const string PromptIds = "prompt_token_ids";

    private static readonly string[] ChunkMembers = ["id", "object", "created", "model", "choices", "usage", "error"];

    private static readonly string[] AskedMembers = ["index", "text", "finish_reason", "logprobs"];

    // The client did not ask for these.
    private static readonly string[] OwnMembers = [.. AskedMembers, "token_ids", PromptIds];

    private readonly ServerTokenizer _tokenizer = new(http);
    private readonly VllmUsage _usage = new();

    public string? StopMember => "stop_reason";

    public ValueTask<uint[]> CanaryAsync(string model, CancellationToken cancellationToken) => EngineCanary.AskAsync(
        http,
        "v1/completions",
        new RequestJson()
            .Text("model", model).Text("prompt", EngineCanary.Prompt).Whole("max_tokens", EngineCanary.AnswerTokens).Number("temperature", 0)
            .Flag("return_token_ids", true),
        answer => answer.Elements("choices").Select(choice => choice.Ids("token_ids")).FirstOrDefault(),
        "return_token_ids, vLLM 0.10.2 or newer",
        cancellationToken);

    public async ValueTask<ReasoningForm?> ReasoningFormAsync(string model, CancellationToken cancellationToken)
    {
        var form = ReasoningForm.Find(
            await _tokenizer.RenderAsync(ReasoningForm.SampleQuestion.ToArray(), model, cancellationToken),
            await _tokenizer.RenderAsync(ReasoningForm.SampleMessages.ToArray(), model, cancellationToken));
        return form is null ? null : await form.WithIdsAsync(text => _tokenizer.TextAsync(text, model, cancellationToken, addSpecial: false));
    }

    public async ValueTask<ToolCallMarks?> ToolCallMarksAsync(string model, CancellationToken cancellationToken)
    {
        var tools = ToolCallMarks.SampleTools.ToArray();
        var marks = ToolCallMarks.Find(
            await _tokenizer.RenderAsync(ToolCallMarks.SampleQuestion.ToArray(), model, cancellationToken, tools),
            await _tokenizer.RenderAsync(ToolCallMarks.SampleMessages.ToArray(), model, cancellationToken, tools),
            await ToolCallMarks.TryRenderAsync(_tokenizer.RenderAsync(ToolCallMarks.SampleMessagesOfTwo.ToArray(), model, cancellationToken, tools)));
        return marks is null ? null : await marks.WithIdsAsync(text => _tokenizer.TextAsync(text, model, cancellationToken, addSpecial: false));
    }

    public IChatTokens ChatTokens => new VllmChatTokens(http.Name, _usage);

    public IAnswerUsage? UsageOf(ReasoningForm? form, bool isDivided) => _usage.Begin(form);

    public ValueTask<uint[]> PromptIdsAsync(GenerateRequest request, string model, CancellationToken cancellationToken) => request.Chat is null
        ? _tokenizer.TextAsync(request.Text, model, cancellationToken)
        : _tokenizer.ChatAsync(request, model, cancellationToken);

    public async ValueTask<byte[]> TextOfAsync(TokenCall call, CancellationToken cancellationToken) =>
        await new ResumedText(_tokenizer, call).BeginAsync(cancellationToken);

    public async IAsyncEnumerable<TokenStep> GenerateAsync(TokenCall call, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // On a resumed answer the prompt has the answer so far.
        var members = !HasAskedForIds(call) ? OwnMembers : call.Answer.Count == 0 ? AskedMembers : [.. AskedMembers, PromptIds];
        var text = new ResumedText(_tokenizer, call);
        await text.BeginAsync(cancellationToken);
        await foreach (var step in http.StreamAsync("v1/completions", Body(call), HasEnd, call.Request, cancellationToken))
        {
            if (step is not { } data)
            {
                yield return TokenStep.Alive;
                continue;
            }

            foreach (var choice in data.Elements("choices"))
            {
                var ids = choice.Ids("token_ids") ?? throw new FaultException(Fault.EngineFailed, $"{http.Name} sent a chunk without token_ids");
                var end = FinishReasons.Read(choice.Text("finish_reason"));
                // No stop texts are sent, so a stop is the end token or one of stop_token_ids. vLLM counts it; it is not part of the answer.
                var isEndToken = end is { Reason: FinishReason.Stop, Word: null } && choice.Text("stop_reason") is null && ids.Length > 0;
                var kept = isEndToken ? ids[..^1] : ids;
                var added = await text.AddAsync(kept, choice.Text("text") ?? "", cancellationToken);
                var logprobs = CompletionLogprobsReader.Of(choice, call.Request, ids);
                yield return new TokenStep(kept, added, logprobs.Count > 0 ? [.. logprobs.Take(kept.Length)] : [], end)
                {
                    HasEndToken = isEndToken,
                    Choice = RawMembers.Except(choice, members),
                    Chunk = RawMembers.Except(data, ChunkMembers),
                };
            }
        }
    }

    private static ReadOnlyMemory<byte> Body(TokenCall call) => new RequestJson()
        .Text("model", call.Model).Ids("prompt", call.Ids).Whole("max_tokens", call.Rest).Flag("stream", true).Flag("return_token_ids", true)
        .Whole("logprobs", call.Request.HasLogprobs ? call.Request.Logprobs : null)
        .OpenAiSampling(call.Request.Sampling)
        .Extra(call.Request.Extra)
        .ToBytes();

    private static bool HasAskedForIds(TokenCall call) => call.Request.Extra.Any(
        member => member.Name == "return_token_ids" && member.Json.Span.SequenceEqual("true"u8));

    private static bool HasEnd(JsonElement data) => data.Elements("choices").Any(choice => choice.Member("finish_reason") is not null);
}
