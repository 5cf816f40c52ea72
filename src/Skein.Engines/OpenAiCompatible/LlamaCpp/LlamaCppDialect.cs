using Skein.Engines.OpenAiCompatible.Reasoning;
using Skein.Engines.OpenAiCompatible.Texts;
using Skein.Engines.OpenAiCompatible.Tokens;
using Skein.Engines.OpenAiCompatible.Tools;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Engines.Requests;

namespace Skein.Engines.OpenAiCompatible.LlamaCpp;

/// <summary>llama.cpp's own calls: <c>/apply-template</c>, <c>/tokenize</c>, <c>/completion</c>.</summary>
internal sealed class LlamaCppDialect(EngineHttp http, TokenBytes vocabulary, string systemFingerprint = "") : ITokenDialect
{
    /// <summary>More would take as long as to make the answer again.</summary>
    private const int MostUnknown = 32;

    public string SystemFingerprint => systemFingerprint;

    // Its flag --predict, which no call tells, and the context.
    public bool KnowsLongest => true;

    public ValueTask<uint[]> CanaryAsync(string model, CancellationToken cancellationToken) => EngineCanary.AskAsync(
        http,
        "completion",
        new RequestJson()
            .Text("prompt", EngineCanary.Prompt).Whole("n_predict", EngineCanary.AnswerTokens).Number("temperature", 0)
            .Flag("return_tokens", true).Flag("cache_prompt", false),
        answer => answer.Ids("tokens"),
        "return_tokens",
        cancellationToken);

    public async ValueTask<uint[]> PromptIdsAsync(GenerateRequest request, string model, CancellationToken cancellationToken)
    {
        var text = request.Chat is { } chat ? await RenderAsync(chat, request, cancellationToken) : request.Text;
        // As in the server's own completion and chat calls.
        return await TokenizeAsync(text, addSpecial: true, cancellationToken);
    }

    public ValueTask<byte[]> TextOfAsync(TokenCall call, CancellationToken cancellationToken) =>
        ValueTask.FromResult<byte[]>([.. call.Answer.SelectMany(vocabulary.Of)]);

    public IAsyncEnumerable<TokenStep> GenerateAsync(TokenCall call, CancellationToken cancellationToken) =>
        new LlamaCppStream(http, vocabulary, call).ReadAsync(cancellationToken);

    public async ValueTask<ReasoningForm?> ReasoningFormAsync(string model, CancellationToken cancellationToken) => ReasoningForm.Find(
        await RenderAsync(new RequestJson().Raw("messages", ReasoningForm.SampleQuestion), cancellationToken),
        await RenderAsync(new RequestJson().Raw("messages", ReasoningForm.SampleMessages), cancellationToken));

    public async ValueTask<ToolCallMarks?> ToolCallMarksAsync(string model, CancellationToken cancellationToken)
    {
        var question = new RequestJson().Raw("messages", ToolCallMarks.SampleQuestion).Raw("tools", ToolCallMarks.SampleTools);
        var called = new RequestJson().Raw("messages", ToolCallMarks.SampleMessages).Raw("tools", ToolCallMarks.SampleTools);
        var twice = new RequestJson().Raw("messages", ToolCallMarks.SampleMessagesOfTwo).Raw("tools", ToolCallMarks.SampleTools);
        var marks = ToolCallMarks.Find(
            await RenderAsync(question, cancellationToken), await RenderAsync(called, cancellationToken),
            await ToolCallMarks.TryRenderAsync(RenderAsync(twice, cancellationToken)));
        return marks is null ? null : await marks.WithIdsAsync(text => TokenizeAsync(text, addSpecial: false, cancellationToken));
    }

    public bool StreamsShownLogprobsOnly => true;

    public bool LeavesReasoning(GenerateRequest request) => request.Extra.Any(IsUndivided);

    /// <summary>Whether the member asks for answers that are not divided into reasoning and content.</summary>
    public static bool IsUndivided(RawMember member) => member.Name == "reasoning_format" && member.Json.Span.SequenceEqual("\"none\""u8);

    public IChatTokens ChatTokens => LlamaCppChatTokens.Instance;

    public async ValueTask<int?> CachedTokensAsync(TokenCall call, CancellationToken cancellationToken)
    {
        // Evaluates the prompt, and generates one token, which is not used: the server has no call that only evaluates.
        var answer = await http.AskAsync("completion", LlamaCppStream.BodyOf(call.Request, call.Prompt, tokens: 0, isStream: false), cancellationToken);
        return LlamaCppStream.CachedTokensIn(answer);
    }

    /// <summary>
    /// The tokens that the parser of its chat call holds back, such as the marks of a reasoning, are generated again. A sampled answer may have had others.
    /// </summary>
    public async ValueTask<IReadOnlyList<uint>> FillAsync(TokenCall call, CancellationToken cancellationToken)
    {
        if (!ResumeTiers.IsGreedy(call.Request.Sampling))
            throw RequestChecks.ResumeRefused("resume.token_ids has unknown ids; allowed: those of a greedy answer");

        var ids = call.Answer.ToList();
        for (var from = ids.IndexOf(UnknownToken.Id); from >= 0; from = ids.IndexOf(UnknownToken.Id, from))
        {
            var next = ids.FindIndex(from, id => id != UnknownToken.Id);
            var count = (next < 0 ? ids.Count : next + 1) - from;
            if (count > MostUnknown)
                throw RequestChecks.ResumeRefused($"resume.token_ids has {count} unknown ids in a row; allowed: {MostUnknown}");

            var body = LlamaCppStream.BodyOf(call.Request, call.Prompt.Concat(ids.Take(from)), count, isStream: false);
            var made = (await http.AskAsync("completion", body, cancellationToken)).Ids("tokens") ?? [];
            if (made.Length != count || (next >= 0 && made[^1] != ids[next]))
                throw RequestChecks.ResumeRefused($"resume.token_ids has unknown ids near token {from}, and made again they do not fit");

            for (var i = 0; i < count; i++)
                ids[from + i] = made[i];
        }

        return ids;
    }

    private async ValueTask<uint[]> TokenizeAsync(string text, bool addSpecial, CancellationToken cancellationToken)
    {
        var body = new RequestJson().Text("content", text).Flag("add_special", addSpecial).Flag("parse_special", true);
        var answer = await http.AskAsync("tokenize", body.ToBytes(), cancellationToken);
        return answer.Ids("tokens") ?? throw new FaultException(Fault.EngineFailed, $"{http.Name} answers /tokenize without tokens");
    }

    private ValueTask<string> RenderAsync(ChatPrompt chat, GenerateRequest request, CancellationToken cancellationToken) =>
        RenderAsync(
            new RequestJson().Raw("messages", chat.Messages.Span).Raw("tools", chat.Tools.Span).Raw("tool_choice", chat.ToolChoice.Span)
                // Without logprobs it is refused.
                .Extra(request.Extra.Where(member => member.Name != "top_logprobs")),
            cancellationToken);

    private async ValueTask<string> RenderAsync(RequestJson body, CancellationToken cancellationToken)
    {
        var answer = await http.AskAsync("apply-template", body.ToBytes(), cancellationToken);
        return answer.Text("prompt") ?? throw new FaultException(Fault.EngineFailed, $"{http.Name} answers /apply-template without a prompt");
    }
}
