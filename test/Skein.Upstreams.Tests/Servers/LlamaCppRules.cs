using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Skein.Upstreams.Tests.Servers;

/// <summary>
/// llama.cpp: <c>/apply-template</c> renders chats, <c>/tokenize</c> tokenizes texts, <c>/completion</c> takes and returns ids. Its chat call tells the id of
/// the last token of an event beside its probability, and counts all tokens.
/// </summary>
/// <param name="server">Folder of the recordings.</param>
internal sealed class LlamaCppRules(string server) : RecordedRules(parsesReasoning: false)
{
    /// <summary>More than any id: those of the recordings, and the invented ones.</summary>
    public const int VocabularySize = (int)TokenModel.FirstLetterId + FirstOtherLetter;

    /// <summary>Behind the last letter of prompts.</summary>
    private const int FirstOtherLetter = 128;

    /// <summary>A request for so many alternatives is one for the vocabulary.</summary>
    private const int FewestOfVocabulary = 100;

    private static readonly string[] Marks = ["<think>", "</think>", "<tool_call>", "</tool_call>"];

    private readonly Lazy<string> _vocabulary = new(() => VocabularyOf(server));

    /// <summary>The list of models with the size of this vocabulary.</summary>
    public static Answer Models(string recorded)
    {
        var models = JsonNode.Parse(recorded)!;
        models["data"]![0]!["meta"]!["n_vocab"] = VocabularySize;
        return Answers.Json(models.ToJsonString());
    }

    protected override bool WantsIds(ScriptedRequest request) => request.IsChat && IsAsked(request, "timings_per_token");

    protected override List<uint>? IdsOf(ScriptedRequest request) =>
        request.Path == "/completion" && request.Json.GetProperty("prompt").ValueKind == JsonValueKind.Array ? TokenModel.IdsIn(request.Json, "prompt") : null;

    protected override async Task<Ending?> AnswerOtherAsync(Exchange exchange) => exchange.Request.Path == "/apply-template"
        ? await Answers.Json(JsonSerializer.Serialize(new { prompt = Render(JsonNode.Parse(exchange.Request.Body)!.AsObject()) }))(exchange)
        : null;

    protected override List<uint> Tokenize(ScriptedRequest request, IReadOnlyList<RecordedTokens> choices)
    {
        var text = request.Json.GetProperty("content").GetString()!;
        if (!IsAsked(request, "add_special") && Marks.Contains(text))
            return [PieceIds.Of(text)];
        var choice = choices.FirstOrDefault(choice =>
            text == (choice.Dialogue.Path.EndsWith("/chat/completions", StringComparison.Ordinal) ? Render(choice.Dialogue.Asked!) : PromptIn(choice)?.ToString()));
        return choice is null ? Model.OfText(text) : PromptOf(choice);
    }

    protected override List<uint> PromptOf(JsonElement request) => request.TryGetProperty("messages", out _)
        ? Model.OfText(Render(JsonNode.Parse(request.GetRawText())!.AsObject()))
        : base.PromptOf(request);

    protected override Task<Ending> DetokenizeAsync(Exchange exchange, string text) => Answers.Json(JsonSerializer.Serialize(new { content = text }))(exchange);

    protected override async Task<Ending> GenerateAsync(Exchange exchange)
    {
        var request = exchange.Request;
        if (IntegerIn(request, "n_probs") > FewestOfVocabulary)
            return await Answers.Json(_vocabulary.Value)(exchange);
        var prompt = IdsOf(request) ?? Model.OfText(request.IsChat ? Render(JsonNode.Parse(request.Body)!.AsObject()) : request.Json.GetProperty("prompt").GetString()!);
        var ids = Model.After(prompt, IntegerIn(request, "n_predict") ?? IntegerIn(request, "max_tokens") ?? int.MaxValue);
        var isWhole = ids.Count == 0 || ids[^1] != TokenModel.EndId;
        IReadOnlyList<RecordedToken> tokens = [.. ids.Where(id => id != TokenModel.EndId).Select(id => new RecordedToken(Model.TextOf(id), [id], null))];
        var reason = isWhole ? "length" : "stop";
        if (request.Path == "/completion")
            return await CompleteAsync(exchange, tokens, reason, prompt.Count, timings: null, said: 0);
        var (isChat, count) = (request.IsChat, 0);
        await exchange.StreamAsync();
        if (isChat)
            await exchange.EventAsync(Chunk(isChat: true, null, null, "assistant").ToJsonString());
        foreach (var token in tokens)
        {
            var chunk = Chunk(isChat, token.Text, null);
            if (WantsIds(request))
                AddIds(chunk, [token], Timings(null, ++count, prompt.Count));
            await exchange.EventAsync(chunk.ToJsonString());
        }
        var usage = new JsonObject
        {
            ["completion_tokens"] = ids.Count, ["prompt_tokens"] = prompt.Count, ["total_tokens"] = ids.Count + prompt.Count,
            ["prompt_tokens_details"] = new JsonObject { ["cached_tokens"] = 0 },
        };
        var end = Chunk(isChat, isChat ? null : "", reason);
        var last = isChat ? (JsonObject)end.DeepClone() : end;
        if (isChat)
        {
            await exchange.EventAsync(end.ToJsonString());
            last["choices"] = new JsonArray();
        }
        (last["usage"], last["timings"]) = (usage, Timings(null, ids.Count, prompt.Count));
        await exchange.EventAsync(last.ToJsonString());
        await exchange.DoneAsync();
        return await exchange.EndAsync();
    }

    protected override Task<Ending> StreamIdsAsync(
        Exchange exchange, RecordedTokens answer, IReadOnlyList<RecordedToken> tokens, int count, string reason, int promptTokens)
    {
        if (IntegerIn(exchange.Request, "n_predict") is { } most && tokens.Count - count > most)
            (tokens, reason) = ([.. tokens.Take(count + most)], "length");
        return CompleteAsync(exchange, [.. tokens.Skip(count)], reason, promptTokens, answer.Timings, said: count, answer);
    }

    protected override void AddIds(JsonObject chunk, RecordedTokens choice, IReadOnlyList<RecordedToken> tokens, List<uint>? prompt, int generated)
    {
        if (tokens.Count > 0)
            AddIds(chunk, tokens, Timings(choice.Timings, generated, choice.CountedPromptTokens ?? 1));
    }

    /// <summary>The usage that a stream has if it is asked for, in an event of its own, where the timings are too.</summary>
    protected override JsonObject? UsageOf(RecordedTokens choice, JsonObject end)
    {
        if (end["timings"] is not JsonObject timings || choice.CountedPromptTokens is not { } prompt)
            return null;
        var generated = timings["predicted_n"]!.GetValue<int>();
        end.Remove("timings");
        var chunk = (JsonObject)end.DeepClone();
        chunk["choices"] = new JsonArray();
        var usage = new JsonObject { ["completion_tokens"] = generated, ["prompt_tokens"] = prompt, ["total_tokens"] = prompt + generated };
        // Older versions do not tell it.
        if (timings["cache_n"] is { } cached)
            usage["prompt_tokens_details"] = new JsonObject { ["cached_tokens"] = cached.DeepClone() };
        chunk["usage"] = usage;
        chunk["timings"] = timings;
        return chunk;
    }

    /// <summary>What Qwen3's template makes of the messages. Recordings of reasoning are of one that opens it.</summary>
    private string Render(JsonObject request)
    {
        var text = new StringBuilder();
        if (request["tools"] is JsonArray { Count: > 0 } tools)
            text.Append("<|im_start|>system\n<tools>").AppendJoin('\n', tools.Select(tool => tool!.ToJsonString())).Append("</tools><|im_end|>\n");
        var messages = request["messages"]!.AsArray();
        foreach (var (index, message) in messages.Index())
        {
            var (role, content) = (message!["role"]!.ToString(), TextIn(message));
            text.Append("<|im_start|>").Append(role).Append('\n');
            if (message["reasoning_content"] is JsonValue reasoning)
                text.Append("<think>\n").Append(reasoning).Append("\n</think>\n\n");
            text.Append(content);
            foreach (var call in message["tool_calls"] as JsonArray ?? [])
                text.Append("\n<tool_call>\n").Append(FormOf(call!["function"]!)).Append("\n</tool_call>");
            // The last message of the assistant is the beginning of the answer.
            if (role == "assistant" && index == messages.Count - 1)
                return text.ToString();
            text.Append("<|im_end|>\n");
        }
        text.Append("<|im_start|>assistant\n");
        var isOff = request["chat_template_kwargs"]?["enable_thinking"]?.GetValueKind() == JsonValueKind.False;
        return text.Append(isOff ? "<think>\n\n</think>\n\n" : Opens ? "<think>\n" : "").ToString();
    }

    // Where the server did not divide the answer, it has the opening mark itself.
    private bool Opens => CurrentName is { } name && name.StartsWith("reasoning-", StringComparison.Ordinal) && !name.Contains("none", StringComparison.Ordinal);

    private static string FormOf(JsonNode function) => $$"""{"name": "{{function["name"]}}", "arguments": {{function["arguments"]}}}""";

    private static int? IntegerIn(ScriptedRequest request, string name) =>
        request.Json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) && number >= 0 ? number : null;

    private static bool IsAsked(ScriptedRequest request, string name) => request.Json.TryGetProperty(name, out var asked) && asked.ValueKind == JsonValueKind.True;

    private static JsonObject Chunk(bool isChat, string? text, string? reason, string? role = null)
    {
        var choice = new JsonObject { ["index"] = 0, ["finish_reason"] = reason };
        if (isChat)
            choice["delta"] = role is not null ? new JsonObject { ["role"] = role, ["content"] = null } : text is null ? [] : new JsonObject { ["content"] = text };
        else
            (choice["text"], choice["logprobs"]) = (text, null);
        return new JsonObject
        {
            ["choices"] = new JsonArray(choice), ["created"] = 1_700_000_001, ["id"] = "chatcmpl-1", ["model"] = ScriptedServer.Model,
            ["system_fingerprint"] = "b11669-Debian", ["object"] = isChat ? "chat.completion.chunk" : "text_completion",
        };
    }

    /// <param name="recorded">Those of the whole answer; null: they were not recorded.</param>
    private static JsonObject Timings(JsonNode? recorded, int generated, int prompt)
    {
        var timings = (JsonObject?)recorded?.DeepClone() ?? new JsonObject { ["cache_n"] = 0, ["prompt_n"] = prompt };
        timings["predicted_n"] = generated;
        return timings;
    }

    // The probability of the last token only, and the number of all.
    private static void AddIds(JsonObject chunk, IReadOnlyList<RecordedToken> tokens, JsonObject timings)
    {
        chunk["timings"] = timings;
        if (chunk["choices"]![0]!.AsObject() is var said && said["logprobs"] is null && tokens[^1].Ids is [.., var last])
        {
            said["logprobs"] = new JsonObject
            {
                ["content"] = new JsonArray(new JsonObject
                {
                    ["id"] = last, ["token"] = tokens[^1].Text, ["bytes"] = BytesOf(tokens[^1].Text), ["prob"] = 1.0, ["top_probs"] = new JsonArray(),
                }),
            };
        }
    }

    private static JsonArray BytesOf(string text) => new([.. Encoding.UTF8.GetBytes(text).Select(unit => (JsonNode)unit)]);

    /// <summary>Answers <c>/completion</c>.</summary>
    /// <param name="said">Number of tokens of the answer that were asked to be continued.</param>
    /// <param name="answer">The recorded answer; null: it is the small model's.</param>
    private async Task<Ending> CompleteAsync(Exchange exchange, IReadOnlyList<RecordedToken> tokens, string reason, int prompt, JsonNode? timings, int said, RecordedTokens? answer = null)
    {
        var (request, isEnd) = (exchange.Request, reason == "stop");
        if (isEnd)
            tokens = [.. tokens, new RecordedToken("", [TokenModel.EndId], null)];
        var total = tokens.Sum(token => token.Ids.Length);
        var end = new JsonObject
        {
            ["index"] = 0, ["content"] = "", ["tokens"] = new JsonArray(), ["id_slot"] = 0, ["stop"] = true, ["model"] = ScriptedServer.Model,
            ["tokens_predicted"] = total, ["tokens_evaluated"] = prompt, ["has_new_line"] = false, ["truncated"] = false,
            ["stop_type"] = isEnd ? "eos" : "limit", ["stopping_word"] = "", ["timings"] = Timings(timings, total, prompt),
        };
        if (!request.IsStreamed)
        {
            end["content"] = string.Concat(tokens.Select(token => token.Text));
            end["tokens"] = new JsonArray([.. tokens.SelectMany(token => token.Ids).Where(id => id != TokenModel.EndId).Select(id => (JsonNode)id)]);
            return await Answers.Json(end.ToJsonString())(exchange);
        }
        var generated = 0;
        await exchange.StreamAsync();
        foreach (var progress in answer?.Events.Select(said => said.Chunk["prompt_progress"]).OfType<JsonNode>() ?? [])
        {
            // It counts a token that it does not have.
            var step = new JsonObject { ["index"] = 0, ["content"] = "", ["tokens"] = new JsonArray(), ["stop"] = false, ["tokens_predicted"] = 1 };
            step["prompt_progress"] = progress.DeepClone();
            await exchange.EventAsync(step.ToJsonString());
        }
        foreach (var (index, token) in tokens.Index())
        {
            if (token.Ids is not [TokenModel.EndId] && IsDead(said + index))
                return Ending.Close;
            generated += token.Ids.Length;
            var step = new JsonObject
            {
                ["index"] = 0, ["content"] = token.Text, ["tokens"] = new JsonArray([.. token.Ids.Select(id => (JsonNode)id)]), ["stop"] = false,
                ["id_slot"] = -1, ["tokens_predicted"] = generated, ["tokens_evaluated"] = prompt,
            };
            if (IsAsked(request, "timings_per_token"))
                step["timings"] = Timings(timings, generated, prompt);
            if (IntegerIn(request, "n_probs") > 0 && token.Logprobs?["content"] is { } probabilities)
                step["completion_probabilities"] = probabilities.DeepClone();
            await exchange.EventAsync(step.ToJsonString());
        }
        await exchange.EventAsync(end.ToJsonString());
        return await exchange.EndAsync();
    }

    /// <summary>All tokens of the recorded answers and of the small model with their bytes, as alternatives of one.</summary>
    private static string VocabularyOf(string server)
    {
        var texts = new SortedDictionary<uint, string> { [TokenModel.EndId] = "", [TokenModel.AssistantId] = "" };
        for (var letter = 0; letter < FirstOtherLetter; letter++)
            texts[TokenModel.FirstLetterId + (uint)letter] = ((char)letter).ToString();
        foreach (var (index, word) in SmallModel.Words.Index())
            texts[TokenModel.FirstAnswerId + (uint)index] = word;
        foreach (var choice in Dialogue.Read(server).Where(dialogue => dialogue.Method == "POST").SelectMany(RecordedTokens.Of))
        {
            foreach (var token in choice.Tokens.Concat(BehindStop(choice)))
            {
                foreach (var (index, id) in token.Ids.Index())
                    texts.TryAdd(id, index == 0 ? token.Text : "");
            }
        }
        foreach (var mark in Marks)
            texts.TryAdd(PieceIds.Of(mark), mark);
        var tokens = texts.Select(token => (JsonNode)new JsonObject { ["id"] = token.Key, ["token"] = token.Value, ["bytes"] = BytesOf(token.Value), ["logprob"] = -1.0 });
        return new JsonObject { ["completion_probabilities"] = new JsonArray(new JsonObject { ["top_logprobs"] = new JsonArray([.. tokens]) }) }.ToJsonString();
    }
}
