using System.Text.Json;
using System.Text.Json.Nodes;

namespace Skein.Upstreams.Tests.Servers;

/// <summary>SGLang: <c>/generate</c> takes and returns ids; every event has the whole answer so far.</summary>
internal sealed class SgLangRules(bool parsesReasoning) : RecordedRules(parsesReasoning)
{
    // A streamed chat returns none.
    protected override bool WantsIds(ScriptedRequest request) => !request.IsChat && request.Body.Contains("\"return_token_ids\":true", StringComparison.Ordinal);

    protected override List<uint>? IdsOf(ScriptedRequest request) =>
        request.Path == "/generate" && request.Json.TryGetProperty("input_ids", out _) ? TokenModel.IdsIn(request.Json, "input_ids") : null;

    protected override Task<Ending> GenerateAsync(Exchange exchange) => SgLangServer.GenerateAsync(exchange, Model, ParsesReasoning, dies: null);

    protected override Task<Ending> DetokenizeAsync(Exchange exchange, string text) => Answers.Json(JsonSerializer.Serialize(new { text }))(exchange);

    protected override async Task<Ending?> AnswerOtherAsync(Exchange exchange) =>
        exchange.Request.Path == "/separate_reasoning" ? await SgLangServer.SeparateAsync(exchange) : null;

    protected override async Task<Ending> StreamIdsAsync(
        Exchange exchange, RecordedTokens answer, IReadOnlyList<RecordedToken> tokens, int count, string reason, int promptTokens)
    {
        object end = reason == "stop"
            ? new { type = "stop", matched = answer.Stop is JsonValue stop && stop.GetValueKind() == JsonValueKind.Number ? stop.GetValue<int>() : (int)TokenModel.EndId }
            : new { type = "length", length = tokens.Count - count };
        var (text, ids) = ("", new List<uint>());
        var asksLogprobs = exchange.Request.Json.TryGetProperty("return_logprob", out var asked) && asked.ValueKind == JsonValueKind.True;
        var logprobs = asksLogprobs ? tokens.Skip(count).SelectMany(LogprobsOf).ToList() : null;
        await exchange.StreamAsync();
        for (var i = count; i < tokens.Count; i++)
        {
            if (IsDead(i))
                return Ending.Close;
            (text, ids) = (text + tokens[i].Text, [.. ids, .. tokens[i].Ids]);
            if (i < tokens.Count - 1)
                await exchange.EventAsync(SgLangServer.Event(text, ids, null, promptTokens, SoFar()));
        }
        if (reason == "stop" && answer.Stop is null)
            ids.Add(TokenModel.EndId);
        await exchange.EventAsync(SgLangServer.Event(text, ids, end, promptTokens, SoFar()));
        await exchange.DoneAsync();
        return await exchange.EndAsync();

        (object, object)? SoFar() => logprobs is null ? null : (logprobs.Take(ids.Count).Select(token => token.Said), logprobs.Take(ids.Count).Select(token => token.Top));
    }

    /// <summary>Those of a chat as this call has them.</summary>
    private static IEnumerable<(object?[] Said, IEnumerable<object?[]> Top)> LogprobsOf(RecordedToken token) =>
        (token.Logprobs?["content"] as JsonArray ?? []).Select((item, i) =>
            (FormOf(item!, token.Ids[i]), ((JsonArray)item!["top_logprobs"]!).Select(top => FormOf(top!, PieceIds.Of(top!["token"]!.ToString())))));

    private static object?[] FormOf(JsonNode token, uint id) => [token["logprob"], id, token["token"]];
}
