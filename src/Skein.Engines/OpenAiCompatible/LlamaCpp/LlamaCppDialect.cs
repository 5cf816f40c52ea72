using Skein.Engines.OpenAiCompatible.Reasoning;
using Skein.Engines.OpenAiCompatible.Tokens;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.LlamaCpp;

/// <summary>llama.cpp's own calls: <c>/apply-template</c>, <c>/tokenize</c>, <c>/completion</c>.</summary>
internal sealed class LlamaCppDialect(EngineHttp http, TokenBytes vocabulary) : ITokenDialect
{
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
        var body = new RequestJson().Text("content", text).Flag("add_special", true).Flag("parse_special", true);
        var answer = await http.AskAsync("tokenize", body.ToBytes(), cancellationToken);
        return answer.Ids("tokens") ?? throw new FaultException(Fault.EngineFailed, $"{http.Name} answers /tokenize without tokens");
    }

    public ValueTask<byte[]> TextOfAsync(TokenCall call, CancellationToken cancellationToken) =>
        ValueTask.FromResult<byte[]>([.. call.Answer.SelectMany(vocabulary.Of)]);

    public IAsyncEnumerable<TokenStep> GenerateAsync(TokenCall call, CancellationToken cancellationToken) =>
        new LlamaCppStream(http, vocabulary, call).ReadAsync(cancellationToken);

    public async ValueTask<ReasoningForm?> ReasoningFormAsync(string model, CancellationToken cancellationToken) => ReasoningForm.Find(
        await RenderAsync(new RequestJson().Raw("messages", ReasoningForm.SampleQuestion), cancellationToken),
        await RenderAsync(new RequestJson().Raw("messages", ReasoningForm.SampleMessages), cancellationToken));

    private ValueTask<string> RenderAsync(ChatPrompt chat, GenerateRequest request, CancellationToken cancellationToken) =>
        RenderAsync(
            new RequestJson().Raw("messages", chat.Messages.Span).Raw("tools", chat.Tools.Span).Raw("tool_choice", chat.ToolChoice.Span).Extra(request.Extra),
            cancellationToken);

    private async ValueTask<string> RenderAsync(RequestJson body, CancellationToken cancellationToken)
    {
        var answer = await http.AskAsync("apply-template", body.ToBytes(), cancellationToken);
        return answer.Text("prompt") ?? throw new FaultException(Fault.EngineFailed, $"{http.Name} answers /apply-template without a prompt");
    }
}
