using System.Text.Json;

namespace Skein.Upstreams.Tests.Servers;

/// <summary>
/// A server with SGLang's rules: <c>/tokenize</c> renders chats, <c>/generate</c> takes ids and repeats the answer in every event; its chat call divides
/// reasoning from content and streams no ids. A parser that is named by its start believes that every answer begins inside the reasoning.
/// </summary>
internal static class SgLangServer
{
    public const string Parser = "deepseek-r1";

    private const string ReasoningMember = "reasoning_content";

    /// <inheritdoc cref="VllmServer.Start"/>
    public static ScriptedServer Start(IReadOnlyList<string> answer, bool parsesReasoning, Func<int, bool>? dies = null)
    {
        var model = new TokenModel(answer);
        var server = new ScriptedServer(exchange => GenerateAsync(exchange, model, parsesReasoning, dies));
        // Requests by ids have no mark.
        server.GenerateForGateway = exchange => GenerateAsync(exchange, model, parsesReasoning, exchange.Request.Path == "/generate" ? dies : null);
        return server
            .On("/model_info", Answers.Json(Json(new { model_path = "org/story", is_generation = true, reasoning_parser = parsesReasoning ? Parser : null })))
            .On("/server_info", Answers.Json(Json(new { version = "0.5.23", max_running_requests = 8, reasoning_parser = parsesReasoning ? Parser : null })))
            .On("/v1/models", Answers.Json(Json(new { data = new[] { new { id = ScriptedServer.Model, owned_by = "sglang", root = "org/story", max_model_len = 4096 } } })))
            .On("/ready", Answers.Json("{}"))
            .On("/separate_reasoning", exchange => SeparateAsync(exchange))
            .On("/tokenize", exchange => Answers.Json(Json(new { tokens = model.PromptOf(exchange.Request.Json) }))(exchange))
            .On("/detokenize", exchange => Answers.Json(Json(new { text = model.TextOf(TokenModel.IdsIn(exchange.Request.Json, "tokens")) }))(exchange));
    }

    public static Task<Ending> GenerateAsync(Exchange exchange, TokenModel model, bool parsesReasoning, Func<int, bool>? dies) =>
        exchange.Request.Path == "/generate" ? GenerateByIdsAsync(exchange, model, dies)
        : exchange.Request is { IsChat: true, IsStreamed: true } && exchange.Request.Body.Contains("\"return_token_ids\":true", StringComparison.Ordinal)
            ? Answers.Json("""{"object":"error","message":"return_token_ids is not supported for streamed chats","type":"BadRequest","param":null,"code":400}""", 400)(exchange)
        : VllmServer.GenerateAsync(exchange, model, parsesReasoning ? ReasoningMember : null, dies);

    /// <summary>Its parser, on a whole text.</summary>
    public static Task<Ending> SeparateAsync(Exchange exchange)
    {
        var json = exchange.Request.Json;
        if (json.GetProperty("reasoning_parser").GetString() != Parser)
            return Answers.Json("""{"error":{"message":"Unsupported model type"}}""", 400)(exchange);
        var text = json.GetProperty("text").GetString()!.Replace("<think>", "", StringComparison.Ordinal);
        var end = text.IndexOf("</think>", StringComparison.Ordinal);
        return Answers.Json(end < 0
            ? Json(new { reasoning_text = text, text = "" })
            : Json(new { reasoning_text = text[..end], text = text[(end + "</think>".Length)..].Trim() }))(exchange);
    }

    /// <summary>One event of <c>/generate</c>: the answer so far.</summary>
    /// <param name="reason">A finish reason as JSON; null: none yet.</param>
    /// <param name="logprobs">Those of the tokens so far, and of the likeliest ones; null: they were not asked for.</param>
    public static string Event(string text, IReadOnlyList<uint> ids, object? reason, int promptTokens, (object Said, object Top)? logprobs = null) => Json(new
    {
        text,
        output_ids = ids,
        meta_info = new { id = "g-1", finish_reason = reason, prompt_tokens = promptTokens, weight_version = "default", reasoning_tokens = 0, completion_tokens = ids.Count, cached_tokens = 0,
            output_token_logprobs = logprobs?.Said, output_top_logprobs = logprobs?.Top },
    });

    private static async Task<Ending> GenerateByIdsAsync(Exchange exchange, TokenModel model, Func<int, bool>? dies)
    {
        var json = exchange.Request.Json;
        var prompt = json.TryGetProperty("input_ids", out _) ? TokenModel.IdsIn(json, "input_ids") : model.OfText(json.GetProperty("text").GetString()!);
        var limit = json.TryGetProperty("sampling_params", out var sampling) && sampling.TryGetProperty("max_new_tokens", out var most) ? most.GetInt32() : int.MaxValue;
        var ids = model.After(prompt, limit);
        object ReasonOf(uint last) => last == TokenModel.EndId ? new { type = "stop", matched = (int)last } : new { type = "length", length = ids.Count };
        if (!exchange.Request.IsStreamed)
            return await Answers.Json(Event(model.TextOf(ids), ids, ReasonOf(ids[^1]), prompt.Count))(exchange);
        var said = TokenModel.SaidIn(prompt);
        await exchange.StreamAsync();
        for (var i = 0; i < ids.Count; i++)
        {
            if (dies?.Invoke(said + i) == true)
                return Ending.Close;
            List<uint> soFar = [.. ids.Take(i + 1)];
            await exchange.EventAsync(Event(model.TextOf(soFar), soFar, i == ids.Count - 1 ? ReasonOf(ids[i]) : null, prompt.Count));
        }
        await exchange.DoneAsync();
        return await exchange.EndAsync();
    }

    private static string Json(object value) => JsonSerializer.Serialize(value);
}
