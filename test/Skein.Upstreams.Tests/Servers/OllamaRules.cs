using System.Text.Json.Nodes;

namespace Skein.Upstreams.Tests.Servers;

/// <summary>Ollama: no ids. A chat whose last message is the assistant's is continued; a completion is one only as a chat.</summary>
internal sealed class OllamaRules() : RecordedRules(parsesReasoning: false)
{
    protected override bool TakesIds => false;

    protected override List<uint>? IdsOf(ScriptedRequest request) => null;

    protected override Task<Ending> DetokenizeAsync(Exchange exchange, string text) => throw new InvalidOperationException("it takes no ids");

    protected override Task<Ending> StreamIdsAsync(
        Exchange exchange, RecordedTokens answer, IReadOnlyList<RecordedToken> tokens, int count, string reason, int promptTokens) =>
        throw new InvalidOperationException("it takes no ids");

    protected override Task<Ending> GenerateAsync(Exchange exchange) =>
        CurrentChoice is { Dialogue.Path: "/v1/completions" } choice && exchange.Request is { IsChat: true, IsStreamed: true } request
            && request.Json.GetProperty("messages")[0].GetProperty("content").GetString() == PromptIn(choice)?.ToString()
            ? StreamAsync(exchange, choice, request.Delivered)
            : SmallModel.AnswerAsync(exchange);

    protected override void Adapt(JsonObject chunk, ScriptedRequest request)
    {
        if (request.IsChat && chunk["choices"] is JsonArray { Count: > 0 } choices && choices[0] is JsonObject said && said["text"]?.ToString() is { } text)
        {
            said.Remove("text");
            said["delta"] = new JsonObject { ["content"] = text };
            chunk["object"] = "chat.completion.chunk";
        }
    }
}
