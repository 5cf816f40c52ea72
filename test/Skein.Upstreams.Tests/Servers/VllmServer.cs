using System.Text.Json;

namespace Skein.Upstreams.Tests.Servers;

/// <summary>
/// A server with vLLM's rules: its chat call renders, generates and divides reasoning from content; it returns ids if it is asked to; completions take ids and
/// are not divided. The model answers every chat with the same tokens, and continues them by their ids.
/// </summary>
internal static class VllmServer
{
    private const uint EndId = 2;
    private const uint AssistantId = 3;
    private const uint FirstAnswerId = 10;
    private const uint FirstLetterId = 1_000;

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
        var server = new ScriptedServer(exchange => GenerateAsync(exchange, answer, parsesReasoning, dies));
        server.GenerateForGateway = exchange => GenerateAsync(exchange, answer, parsesReasoning, dies: null);
        return server
            .On("/version", Answers.Json("""{"version":"0.32.0"}"""))
            .On("/v1/models", Answers.Json(Json(new { data = new[] { new { id = ScriptedServer.Model, owned_by = "vllm", root = "org/story", max_model_len = 4096 } } })))
            .On("/tokenize", exchange => Answers.Json(Json(new { tokens = PromptOf(exchange.Request, answer) }))(exchange))
            .On("/detokenize", exchange =>
                Answers.Json(Json(new { prompt = string.Concat(IdsOf(exchange.Request.Json, "tokens").Select(id => TextOf(id, answer))) }))(exchange));
    }

    private static async Task<Ending> GenerateAsync(Exchange exchange, IReadOnlyList<string> answer, bool parsesReasoning, Func<int, bool>? dies)
    {
        var request = exchange.Request;
        var prompt = request.Json.TryGetProperty("prompt", out var given) && given.ValueKind == JsonValueKind.Array
            ? IdsOf(request.Json, "prompt")
            : PromptOf(request, answer);
        var said = (int)(prompt.Count - 1 - prompt.LastIndexOf(AssistantId));
        var limit = request.Json.TryGetProperty("max_tokens", out var most) ? most.GetInt32() : answer.Count + 1;
        var withIds = request.Json.TryGetProperty("return_token_ids", out var asked) && asked.ValueKind == JsonValueKind.True;
        var ids = Enumerable.Range(said, Math.Max(0, answer.Count - said)).Select(index => FirstAnswerId + (uint)index).Append(EndId).Take(limit).ToList();
        if (!request.IsStreamed)
        {
            var whole = string.Concat(ids.Select(id => TextOf(id, answer)));
            return await Answers.Json(Json(new { choices = new[] { new { index = 0, text = whole, token_ids = ids, finish_reason = "length" } } }))(exchange);
        }

        await exchange.StreamAsync();
        if (request.IsChat)
            await exchange.EventAsync(Chunk(true, new { role = "assistant", content = "" }, null, null, withIds ? prompt : null));
        var isReasoning = parsesReasoning && request.IsChat;
        for (var i = 0; i < ids.Count; i++)
        {
            if (dies?.Invoke(said + i) == true)
                return Ending.Close;

            var (id, text) = (ids[i], TextOf(ids[i], answer));
            var isMark = isReasoning && text == "</think>";
            var isLast = i == ids.Count - 1;
            object? delta = !request.IsChat ? text : isMark || id == EndId ? new { } : isReasoning ? new { reasoning = text } : new { content = text };
            isReasoning &= !isMark;
            // Without ids, a delta that has nothing is not sent.
            if (withIds || !isMark || isLast)
                await exchange.EventAsync(Chunk(request.IsChat, delta, withIds ? [id] : null, isLast ? id == EndId ? "stop" : "length" : null, null));
        }

        var usage = new { prompt_tokens = prompt.Count, completion_tokens = ids.Count, total_tokens = prompt.Count + ids.Count };
        await exchange.EventAsync(Json(new { id = "x-1", @object = "chat.completion.chunk", choices = Array.Empty<object>(), usage }));
        await exchange.DoneAsync();
        return await exchange.EndAsync();
    }

    private static (string Reasoning, string Content) Divide(string text)
    {
        var mark = text.IndexOf("</think>", StringComparison.Ordinal);
        return (text[..mark], text[(mark + "</think>".Length)..]);
    }

    // A letter is a token, and so is the beginning of an answer.
    private static List<uint> PromptOf(ScriptedRequest request, IReadOnlyList<string> answer)
    {
        if (!request.Json.TryGetProperty("messages", out var messages))
            return [.. Letters(request.Json.GetProperty("prompt").GetString()!), AssistantId];

        List<uint> ids = [];
        foreach (var message in messages.EnumerateArray())
        {
            var isAnswer = message.GetProperty("role").GetString() == "assistant";
            ids.AddRange(isAnswer ? [AssistantId] : []);
            ids.AddRange(message.TryGetProperty("reasoning", out var reasoning) ? Letters($"<think>\n{reasoning.GetString()}\n</think>\n\n") : []);
            ids.AddRange(Letters(message.GetProperty("content").GetString()!));
        }

        // A last message of the assistant starts a new turn unless the request says otherwise.
        var continues = request.Json.TryGetProperty("continue_final_message", out var flag) && flag.ValueKind == JsonValueKind.True;
        return continues ? Continued(ids, answer) : [.. ids, AssistantId];
    }

    private static List<uint> Continued(List<uint> ids, IReadOnlyList<string> answer)
    {
        var begin = ids.LastIndexOf(AssistantId) + 1;
        var said = string.Concat(ids.Skip(begin).Select(id => TextOf(id, answer)));
        var count = 0;
        while (said.Length > 0 && count < answer.Count && said.StartsWith(answer[count], StringComparison.Ordinal))
            said = said[answer[count++].Length..];
        return [.. ids.Take(begin), .. Enumerable.Range(0, count).Select(index => FirstAnswerId + (uint)index)];
    }

    private static IEnumerable<uint> Letters(string text) => text.Select(letter => FirstLetterId + letter);

    private static string TextOf(uint id, IReadOnlyList<string> answer) =>
        id >= FirstLetterId ? ((char)(id - FirstLetterId)).ToString()
        : id >= FirstAnswerId && id < FirstAnswerId + answer.Count ? answer[(int)(id - FirstAnswerId)]
        : "";

    private static List<uint> IdsOf(JsonElement json, string name) => [.. json.GetProperty(name).EnumerateArray().Select(id => id.GetUInt32())];

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
