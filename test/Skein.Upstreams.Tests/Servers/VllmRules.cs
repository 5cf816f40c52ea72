using System.Text.Json;
using System.Text.Json.Nodes;

namespace Skein.Upstreams.Tests.Servers;

/// <summary>vLLM: the chat call returns ids, completions take and return them.</summary>
internal sealed class VllmRules(bool parsesReasoning) : RecordedRules(parsesReasoning)
{
    protected override List<uint>? IdsOf(ScriptedRequest request) =>
        request.Path == "/v1/completions" && request.Json.TryGetProperty("prompt", out var prompt)
            && prompt.ValueKind == JsonValueKind.Array && prompt.EnumerateArray().All(id => id.ValueKind == JsonValueKind.Number)
            ? TokenModel.IdsIn(request.Json, "prompt")
            : null;

    protected override bool WantsIds(ScriptedRequest request) => request.Body.Contains("\"return_token_ids\":true", StringComparison.Ordinal);

    protected override Task<Ending> GenerateAsync(Exchange exchange) => VllmServer.GenerateAsync(exchange, Model, ParsesReasoning ? "reasoning" : null, dies: null);

    protected override Task<Ending> DetokenizeAsync(Exchange exchange, string text) => Answers.Json(JsonSerializer.Serialize(new { prompt = text }))(exchange);

    protected override async Task<Ending> StreamIdsAsync(
        Exchange exchange, RecordedTokens answer, IReadOnlyList<RecordedToken> tokens, int count, string reason, int promptTokens)
    {
        var prompt = answer.PromptIds.Count > 0 ? new JsonArray([.. answer.PromptIds.Select(id => (JsonNode)id)]) : null;
        await exchange.StreamAsync();
        for (var i = count; i < tokens.Count; i++)
        {
            if (IsDead(i))
                return Ending.Close;
            await exchange.EventAsync(Event(new JsonObject
            {
                ["index"] = 0, ["text"] = tokens[i].Text, ["logprobs"] = LogprobsOf(tokens[i].Logprobs), ["finish_reason"] = null,
                ["token_ids"] = new JsonArray([.. tokens[i].Ids.Select(id => (JsonNode)id)]), ["prompt_token_ids"] = i == count ? prompt : null,
            }).ToJsonString());
        }
        var isEnd = reason == "stop" && answer.Stop is null;
        var end = Event(new JsonObject
        {
            ["index"] = 0, ["text"] = "", ["logprobs"] = null, ["finish_reason"] = reason, ["stop_reason"] = answer.Stop is JsonValue stop
                && stop.GetValueKind() == JsonValueKind.Number ? stop.DeepClone() : null,
            ["token_ids"] = isEnd ? new JsonArray((JsonNode)TokenModel.EndId) : new JsonArray(),
        });
        foreach (var (name, value) in answer.Events.SelectMany(said => said.Chunk)
            .Where(member => member.Value is not null && member.Key is not ("id" or "object" or "created" or "model" or "choices" or "usage" or "prompt_token_ids")))
            end[name] = value!.DeepClone();
        await exchange.EventAsync(end.ToJsonString());
        if (answer.Usage is { } usage && answer.Dialogue.Asked?["n"] is null)
            await exchange.EventAsync(new JsonObject { ["choices"] = new JsonArray(), ["usage"] = usage.DeepClone() }.ToJsonString());
        await exchange.DoneAsync();
        return await exchange.EndAsync();
    }

    private static JsonObject Event(JsonObject choice) => new() { ["id"] = "cmpl-ids", ["object"] = "text_completion", ["choices"] = new JsonArray(choice) };

    /// <summary>Those of a chat as a completion has them.</summary>
    private static JsonNode? LogprobsOf(JsonNode? recorded)
    {
        if (recorded?["content"] is not JsonArray content)
            return recorded?.DeepClone();
        var tops = content.Select(item => new JsonObject((item!["top_logprobs"] as JsonArray ?? [])
            .GroupBy(top => top!["token"]!.ToString(), StringComparer.Ordinal)
            .Select(top => KeyValuePair.Create<string, JsonNode?>(top.Key, top.First()!["logprob"]!.DeepClone()))));
        return new JsonObject
        {
            ["tokens"] = new JsonArray([.. content.Select(item => item!["token"]!.DeepClone())]),
            ["token_logprobs"] = new JsonArray([.. content.Select(item => item!["logprob"]!.DeepClone())]),
            ["top_logprobs"] = new JsonArray([.. tops]),
            ["text_offset"] = new JsonArray([.. content.Select(_ => (JsonNode)0)]),
        };
    }
}
