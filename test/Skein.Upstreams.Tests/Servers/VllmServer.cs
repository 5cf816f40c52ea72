using System.Text.Json;

namespace Skein.Upstreams.Tests.Servers;

/// <summary>
/// A server with vLLM's rules: its chat call renders, generates and divides reasoning from content; it returns ids if it is asked to; completions take ids and
/// are not divided. The model answers every chat with the same tokens, and continues them by their ids.
/// </summary>
internal static class VllmServer
{
    /// <summary>Pieces of the answer. What comes before the mark is reasoning for the server's parser.</summary>
    public static IReadOnlyList<string> Reasoned { get; } =
        ["Let ", "me ", "see", ": ", "a ", "<", "b ", "and ", "so ", "on", ".", "\n", "</think>", "\n\n", .. SmallModel.Words];

    /// <summary>The reasoning and the content of <see cref="Reasoned"/>, as its parser divides them.</summary>
    public static (string Reasoning, string Content) Parts { get; } = Divide(string.Concat(Reasoned));

    /// <param name="answer">Pieces of the answer, one a token.</param>
    /// <param name="parsesReasoning">Whether it was started with a parser for reasoning.</param>
    /// <param name="dies">Called before each token of a client's answer with its index; true: the connection ends there.</param>
    public static ScriptedServer Start(IReadOnlyList<string> answer, bool parsesReasoning, Func<int, bool>? dies = null)
    {
        var model = new TokenModel(answer);
        var server = new ScriptedServer(exchange => GenerateAsync(exchange, model, parsesReasoning ? "reasoning" : null, dies));
        server.GenerateForGateway = exchange => GenerateAsync(exchange, model, parsesReasoning ? "reasoning" : null, dies: null);
        return server
            .On("/version", Answers.Json("""{"version":"0.32.0"}"""))
            .On("/v1/models", Answers.Json(Json(new { data = new[] { new { id = ScriptedServer.Model, owned_by = "vllm", root = "org/story", max_model_len = 4096 } } })))
            .On("/tokenize", exchange => Answers.Json(Json(new { tokens = model.PromptOf(exchange.Request.Json) }))(exchange))
            .On("/detokenize", exchange => Answers.Json(Json(new { prompt = model.TextOf(TokenModel.IdsIn(exchange.Request.Json, "tokens")) }))(exchange));
    }

    /// <summary>Answers the chat and the completion call.</summary>
    /// <param name="reasoning">Name of the member with the reasoning; null: reasoning is not divided.</param>
    /// <param name="dies">As in <see cref="Start"/>.</param>
    public static async Task<Ending> GenerateAsync(Exchange exchange, TokenModel model, string? reasoning, Func<int, bool>? dies)
    {
        var request = exchange.Request;
        var prompt = model.PromptOf(request.Json);
        var said = TokenModel.SaidIn(prompt);
        var limit = request.Json.TryGetProperty("max_tokens", out var most) ? most.GetInt32() : int.MaxValue;
        var withIds = request.Json.TryGetProperty("return_token_ids", out var asked) && asked.ValueKind == JsonValueKind.True;
        var ids = model.After(prompt, limit);
        if (!request.IsStreamed)
        {
            var whole = model.TextOf(ids);
            return request.IsChat
                ? await Answers.Json(Json(new { choices = new[] { new { index = 0, message = new { role = "assistant", content = whole }, finish_reason = "length" } } }))(exchange)
                : await Answers.Json(Json(new { choices = new[] { new { index = 0, text = whole, token_ids = ids, finish_reason = "length" } } }))(exchange);
        }

        await exchange.StreamAsync();
        if (request.IsChat)
            await exchange.EventAsync(Chunk(true, new { role = "assistant", content = "" }, null, null, withIds ? prompt : null));
        var isReasoning = reasoning is not null && request.IsChat;
        for (var i = 0; i < ids.Count; i++)
        {
            if (dies?.Invoke(said + i) == true)
                return Ending.Close;

            var (id, text) = (ids[i], model.TextOf(ids[i]));
            var isMark = isReasoning && text == "</think>";
            var isLast = i == ids.Count - 1;
            object? delta = !request.IsChat ? text
                : isMark || id == TokenModel.EndId ? new { }
                : new Dictionary<string, string> { [isReasoning ? reasoning! : "content"] = text };
            isReasoning &= !isMark;
            // Without ids, a delta that has nothing is not sent.
            if (withIds || !isMark || isLast)
            {
                var reason = isLast ? id == TokenModel.EndId ? "stop" : "length" : null;
                await exchange.EventAsync(Chunk(request.IsChat, delta, withIds ? [id] : null, reason, null));
            }
        }

        // Its parser counts what is between the marks, and the answer opens none.
        object? details = reasoning is null ? null : new { reasoning_tokens = 0 };
        var usage = new { prompt_tokens = prompt.Count, completion_tokens = ids.Count, total_tokens = prompt.Count + ids.Count, completion_tokens_details = details };
        await exchange.EventAsync(Json(new { id = "x-1", @object = "chat.completion.chunk", choices = Array.Empty<object>(), usage }));
        await exchange.DoneAsync();
        return await exchange.EndAsync();
    }

    private static (string Reasoning, string Content) Divide(string text)
    {
        var mark = text.IndexOf("</think>", StringComparison.Ordinal);
        return (text[..mark], text[(mark + "</think>".Length)..]);
    }

    private static string Chunk(bool isChat, object? delta, uint[]? ids, string? reason, List<uint>? prompt) => isChat
        ? Json(new
        {
            id = "x-1", @object = "chat.completion.chunk", created = 1_700_000_001, model = ScriptedServer.Model,
            choices = new[] { new { index = 0, delta, logprobs = (object?)null, finish_reason = reason, token_ids = ids } }, prompt_token_ids = prompt,
        })
        : Json(new
        {
            id = "x-1", @object = "text_completion", created = 1_700_000_001, model = ScriptedServer.Model,
            choices = new[] { new { index = 0, text = delta, logprobs = (object?)null, finish_reason = reason, stop_reason = (object?)null, token_ids = ids } },
        });

    private static string Json(object value) => JsonSerializer.Serialize(value);
}
