using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.Tokens;

/// <summary>The <c>/tokenize</c> and <c>/detokenize</c> that vLLM and SGLang share. Thread-safe.</summary>
internal sealed class ServerTokenizer(EngineHttp http)
{
    public async ValueTask<uint[]> TextAsync(string text, string model, CancellationToken cancellationToken, bool addSpecial = true) =>
        await TokenizeAsync(new RequestJson().Text("model", model).Text("prompt", text).Flag("add_special_tokens", addSpecial), cancellationToken);

    public async ValueTask<uint[]> ChatAsync(GenerateRequest request, string model, CancellationToken cancellationToken) =>
        await TokenizeAsync(
            new RequestJson().Text("model", model).Raw("messages", request.Chat.Messages.Span).Raw("tools", request.Chat.Tools.Span).Extra(request.Extra),
            cancellationToken);

    /// <summary>Text of a chat as its template writes it. vLLM only.</summary>
    /// <param name="messages">JSON array.</param>
    /// <param name="tools">JSON array; null: none.</param>
    public async ValueTask<string> RenderAsync(byte[] messages, string model, CancellationToken cancellationToken, byte[]? tools = null) =>
        await DetokenizeAsync(
            await TokenizeAsync(new RequestJson().Text("model", model).Raw("messages", messages).Raw("tools", tools), cancellationToken),
            model,
            cancellationToken);

    /// <summary>Text of the answer's ids as they follow the prompt: a tokenizer may treat the first token of a text differently.</summary>
    public async ValueTask<string> AnswerAsync(TokenCall call, IEnumerable<uint> more, CancellationToken cancellationToken)
    {
        var prompt = call.Prompt.Count == 0 ? "" : await DetokenizeAsync(call.Prompt, call.Model, cancellationToken);
        var all = await DetokenizeAsync(call.Ids.Concat(more), call.Model, cancellationToken);
        return all.StartsWith(prompt, StringComparison.Ordinal)
            ? all[prompt.Length..]
            : throw new FaultException(Fault.ResumeRefused, $"{http.Name}: the text of the prompt's ids changes with the answer's");
    }

    private async ValueTask<uint[]> TokenizeAsync(RequestJson body, CancellationToken cancellationToken)
    {
        var answer = await http.AskAsync("tokenize", body.ToBytes(), cancellationToken);
        return answer.Ids("tokens") ?? throw new FaultException(Fault.EngineFailed, $"{http.Name} answers /tokenize without tokens");
    }

    private async ValueTask<string> DetokenizeAsync(IEnumerable<uint> ids, string model, CancellationToken cancellationToken)
    {
        var answer = await http.AskAsync("detokenize", new RequestJson().Text("model", model).Ids("tokens", ids).ToBytes(), cancellationToken);
        return answer.Text("prompt") ?? answer.Text("text") ?? throw new FaultException(Fault.EngineFailed, $"{http.Name} answers /detokenize without a text");
    }
}
