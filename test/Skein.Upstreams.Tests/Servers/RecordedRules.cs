using System.Text.Json;
using System.Text.Json.Nodes;

namespace Skein.Upstreams.Tests.Servers;

/// <summary>
/// Answers generations of a server: the client's from a recording, as a whole and continued from token ids or text; all others, such as the gateway's
/// proofs, from a small model. Grammars and generators begin anew when an answer is continued by ids. Thread-safe.
/// </summary>
/// <param name="parsesReasoning">Whether the server was started with a parser of reasoning.</param>
internal abstract class RecordedRules(bool parsesReasoning)
{
    protected bool ParsesReasoning { get; } = parsesReasoning;

    private volatile Recording? _current;
    private int _branches = -1;

    /// <summary>The small model.</summary>
    protected TokenModel Model { get; } = new(parsesReasoning ? VllmServer.Reasoned : SmallModel.Words);

    /// <summary>The dialogue that the client asks for; null: none.</summary>
    public Dialogue? Current
    {
        set
        {
            _branches = -1;
            _current = value is null ? null : new Recording(value, RecordedTokens.Of(value));
        }
    }

    /// <summary>Called before each token of a client's answer with its index; true: the connection ends there.</summary>
    public Func<int, bool>? Dies { get; set; }

    /// <summary>The best resume tier of such a server.</summary>
    public string Tier => TakesIds ? "tokens" : "text";

    protected virtual bool TakesIds => true;

    /// <summary>The rules of a recorded server; null: they are not known.</summary>
    /// <param name="server">Folder of the recordings.</param>
    /// <param name="parsesReasoning">Whether it was started with a parser of reasoning.</param>
    public static RecordedRules? Of(string server, bool parsesReasoning) =>
        server.StartsWith("vllm-", StringComparison.Ordinal) ? new VllmRules(parsesReasoning)
        : server.StartsWith("sglang-", StringComparison.Ordinal) ? new SgLangRules(parsesReasoning)
        : server.StartsWith("llama.cpp-", StringComparison.Ordinal) ? new LlamaCppRules(server)
        : server.StartsWith("ollama-", StringComparison.Ordinal) ? new OllamaRules()
        : null;

    /// <summary>Answers a request; null: it is for the recordings.</summary>
    public async Task<Ending?> TryAnswerAsync(Exchange exchange)
    {
        var (request, current) = (exchange.Request, _current);
        if (request.Method != "POST" || request.Body.Length == 0 || (current is not null && IsRecorded(current, request)))
            return null;
        if (TakesIds && request.Path.EndsWith("/detokenize", StringComparison.Ordinal))
            return await DetokenizeAsync(exchange, string.Concat(TokenModel.IdsIn(request.Json, "tokens").Select(id => TextOf(current, id))));
        if (TakesIds && request.Path.EndsWith("/tokenize", StringComparison.Ordinal))
            return await Answers.Json(JsonSerializer.Serialize(new { tokens = Tokenize(request, current?.Choices ?? []) }))(exchange);
        if (!request.IsGeneration)
            return await AnswerOtherAsync(exchange);
        if (IdsOf(request) is { } ids)
        {
            if (current is not null && Match(current, ids) is var (choice, count) && choice is not null)
                return await StreamIdsAsync(exchange, choice, count, ids.Count);
            var isRefused = current is { Choices.Count: 0, Dialogue.Status: >= 400 } && Asks(current.Dialogue, ids);
            return isRefused ? null : await GenerateAsync(exchange);
        }
        return current is not null && Asks(current.Dialogue, request) ? await AnswerFromTextAsync(exchange, current) : await GenerateAsync(exchange);
    }

    /// <summary>The ids of a request that continues ids; null: it is another one.</summary>
    protected abstract List<uint>? IdsOf(ScriptedRequest request);

    /// <summary>Answers by the small model.</summary>
    protected abstract Task<Ending> GenerateAsync(Exchange exchange);

    protected abstract Task<Ending> DetokenizeAsync(Exchange exchange, string text);

    /// <summary>Answers a request that is no generation; null: it is for the recordings.</summary>
    protected virtual Task<Ending?> AnswerOtherAsync(Exchange exchange) => Task.FromResult<Ending?>(null);

    /// <summary>Whether the chat call is asked for ids.</summary>
    protected virtual bool WantsIds(ScriptedRequest request) => false;

    /// <summary>Writes what follows some tokens, as the call for ids does.</summary>
    /// <param name="tokens">All tokens, and those of a stop text that the server was not told.</param>
    /// <param name="count">Number of tokens that the request has.</param>
    protected abstract Task<Ending> StreamIdsAsync(Exchange exchange, RecordedTokens answer, IReadOnlyList<RecordedToken> tokens, int count, string reason, int promptTokens);

    /// <summary>The ids of a prompt that is to be tokenized.</summary>
    /// <param name="choices">The choices of the client's dialogue; none: it has none, or the client asks for nothing.</param>
    protected virtual List<uint> Tokenize(ScriptedRequest request, IReadOnlyList<RecordedTokens> choices)
    {
        var asked = Dialogue.Normalize(request.Body)!;
        var choice = choices.FirstOrDefault(choice => asked["messages"] is { } messages
            ? JsonNode.DeepEquals(messages, choice.Dialogue.Asked!["messages"])
            : JsonNode.DeepEquals(asked["prompt"], PromptIn(choice)));
        return choice is null ? Model.PromptOf(request.Json) : PromptOf(choice);
    }

    /// <summary>Adds the ids of its tokens to an event.</summary>
    /// <param name="prompt">Ids of the prompt, for the first event.</param>
    /// <param name="generated">Number of ids up to here, without those that the request has.</param>
    protected virtual void AddIds(JsonObject chunk, RecordedTokens choice, IReadOnlyList<RecordedToken> tokens, List<uint>? prompt, int generated)
    {
        if (prompt is not null)
            chunk["prompt_token_ids"] ??= new JsonArray([.. prompt.Select(id => (JsonNode)id)]);
        if (chunk["choices"] is not JsonArray { Count: > 0 } list || list[0] is not JsonObject said || said["token_ids"] is JsonArray)
            return;
        var end = said["finish_reason"]?.ToString() == "stop" && choice.Stop is null ? new[] { TokenModel.EndId } : [];
        said["token_ids"] = new JsonArray([.. tokens.SelectMany(token => token.Ids).Concat(end).Select(id => (JsonNode)id)]);
    }

    /// <summary>Makes a recorded event one of the call that was requested.</summary>
    protected virtual void Adapt(JsonObject chunk, ScriptedRequest request)
    {
    }

    /// <summary>The usage of a stream that was recorded without; null: it is not known.</summary>
    /// <param name="end">The last event.</param>
    protected virtual JsonObject? UsageOf(RecordedTokens choice, JsonObject end) => null;

    protected bool IsDead(int index) => Dies?.Invoke(index) == true;

    /// <summary>Name of the client's dialogue; null: there is none.</summary>
    protected string? CurrentName => _current?.Dialogue.Name;

    /// <summary>The first choice of the client's dialogue; null: there is none.</summary>
    protected RecordedTokens? CurrentChoice => _current is { Choices: [var first, ..] } ? first : null;

    /// <summary>What follows a stop text that the server was not told, and the stop text before it.</summary>
    protected static IReadOnlyList<RecordedToken> BehindStop(RecordedTokens answer) =>
        answer.Stop is JsonValue stop && stop.GetValueKind() == JsonValueKind.String
            ? [new RecordedToken(stop.ToString(), [PieceIds.Of(stop.ToString())], null), new RecordedToken(" on", [PieceIds.Of(" on")], null)]
            : [];

    private static string TextOf(Recording? current, uint id, TokenModel model) =>
        current?.TextOf(id) ?? PieceIds.TextOf(id) ?? model.TextOf(id);

    private string TextOf(Recording? current, uint id) => TextOf(current, id, Model);

    // A whole answer, or one without tokens, such as a refusal.
    private static bool IsRecorded(Recording current, ScriptedRequest request) => current.Dialogue.Path == request.Path
        && (current.Choices.Count == 0 || !request.IsStreamed) && JsonNode.DeepEquals(current.Dialogue.Asked, Dialogue.Normalize(request.Body));

    /// <summary>Whether a request is the client's: it has the same messages or prompt, perhaps with a beginning of the answer behind them.</summary>
    private static bool Asks(Dialogue dialogue, ScriptedRequest request)
    {
        var (recorded, asked) = (dialogue.Asked, Dialogue.Normalize(request.Body));
        if (dialogue.Path != request.Path || recorded is null || asked is null)
            return false;
        if (asked["messages"] is JsonArray messages)
            return recorded["messages"] is JsonArray mine && messages.Count >= mine.Count && messages.Zip(mine).All(pair => IsBegunBy(pair.First!, pair.Second!));
        return recorded["prompt"] is JsonArray prompts
            ? prompts.Any(prompt => JsonNode.DeepEquals(prompt, asked["prompt"])) || JsonNode.DeepEquals(prompts, asked["prompt"])
            : asked["prompt"] is JsonValue text && recorded["prompt"] is JsonValue known && text.ToString().StartsWith(known.ToString(), StringComparison.Ordinal);
    }

    /// <summary>Whether the ids are those of a recorded prompt.</summary>
    private bool Asks(Dialogue dialogue, List<uint> ids)
    {
        using var body = JsonDocument.Parse(dialogue.Body);
        var hasPrompt = body.RootElement.TryGetProperty("messages", out var messages) ? messages.ValueKind == JsonValueKind.Array
            : body.RootElement.TryGetProperty("prompt", out var prompt) && prompt.ValueKind is JsonValueKind.String or JsonValueKind.Array;
        return hasPrompt && ids.SequenceEqual(Model.PromptOf(body.RootElement));
    }

    private async Task<Ending?> AnswerFromTextAsync(Exchange exchange, Recording current) =>
        current.Choices.Count == 0 || !exchange.Request.IsStreamed || AsksSeveral(exchange.Request)
            ? null
            : await StreamAsync(exchange, current.Choices[ChoiceOf(current, exchange.Request)], DeliveredIn(exchange.Request, current.Dialogue));

    /// <summary>Writes what follows a beginning of the answer.</summary>
    protected async Task<Ending> StreamAsync(Exchange exchange, RecordedTokens choice, string delivered)
    {
        var withIds = WantsIds(exchange.Request);
        var prompt = withIds ? PromptOf(choice) : [];
        var asksUsage = exchange.Request.Body.Contains("\"include_usage\":true", StringComparison.Ordinal);
        await exchange.StreamAsync();
        var (index, begun, generated, isFirst) = (0, 0, 0, true);
        JsonObject? usageOnly = null;
        foreach (var (recorded, tokens) in choice.Events)
        {
            var text = string.Concat(tokens.Select(token => token.Text));
            if (tokens.Count > 0 && delivered.Length > 0)
            {
                if (!delivered.StartsWith(text, StringComparison.Ordinal))
                    return await Answers.Error(400, "the last message is not a beginning of the answer")(exchange);
                (delivered, index) = (delivered[text.Length..], index + tokens.Count);
                // What was delivered is a part of the prompt.
                begun += tokens.Sum(token => token.Ids.Length);
                continue;
            }
            if (tokens.Count > 0 && IsDead(index))
                return Ending.Close;
            index += tokens.Count;
            generated += tokens.Sum(token => token.Ids.Length);
            var chunk = (JsonObject)recorded.DeepClone();
            if (withIds)
                AddIds(chunk, choice, tokens, isFirst ? prompt : null, generated);
            if (choice.Usage is null && asksUsage && IsLast(chunk))
                usageOnly = UsageOf(choice, chunk);
            if (begun > 0 && chunk["usage"] is JsonObject usage)
                (usage["prompt_tokens"], usage["completion_tokens"]) = (usage["prompt_tokens"]!.GetValue<int>() + begun, usage["completion_tokens"]!.GetValue<int>() - begun);
            isFirst = false;
            Adapt(chunk, exchange.Request);
            await exchange.EventAsync(chunk.ToJsonString());
        }
        if (usageOnly is not null)
            await exchange.EventAsync(usageOnly.ToJsonString());
        await exchange.DoneAsync();
        return await exchange.EndAsync();
    }

    private static bool IsLast(JsonObject chunk) => chunk["choices"] is JsonArray { Count: > 0 } list && list[0]?["finish_reason"] is not null;

    // The gateway asks for each choice and for each prompt by itself.
    private static bool AsksSeveral(ScriptedRequest request) => Dialogue.Normalize(request.Body) is { } asked
        && (DialogueStream.ChoicesAsked(asked) > 1 || (asked["prompt"] is JsonArray { Count: > 0 } prompts && prompts[0]!.GetValueKind() != JsonValueKind.Number));

    private static string DeliveredIn(ScriptedRequest request, Dialogue dialogue)
    {
        var (asked, recorded) = (Dialogue.Normalize(request.Body)!, dialogue.Asked!);
        if (asked["messages"] is JsonArray messages)
        {
            var mine = (JsonArray)recorded["messages"]!;
            return messages.Count == 0 ? "" : messages.Count > mine.Count ? TextIn(messages[^1]!) : TextIn(messages[^1]!)[TextIn(mine[^1]!).Length..];
        }
        return asked["prompt"] is JsonValue text && recorded["prompt"] is JsonValue known ? text.ToString()[known.ToString().Length..] : "";
    }

    // A client's beginning of the answer and the gateway's are one message.
    private static bool IsBegunBy(JsonNode message, JsonNode recorded) => JsonNode.DeepEquals(message, recorded)
        || (message["role"]?.ToString() == "assistant" && recorded["role"]?.ToString() == "assistant"
            && TextIn(message).StartsWith(TextIn(recorded), StringComparison.Ordinal));

    /// <summary>The recorded prompt of a completion.</summary>
    protected static JsonNode? PromptIn(RecordedTokens choice) =>
        choice.Dialogue.Asked!["prompt"] is var prompt && prompt is JsonArray prompts ? prompts[choice.Choice] : prompt;

    protected static string TextIn(JsonNode message) => message["content"] switch
    {
        JsonArray parts => string.Concat(parts.Select(part => part?["text"]?.ToString())),
        { } text => text.ToString(),
        null => "",
    };

    private int ChoiceOf(Recording current, ScriptedRequest request)
    {
        var asked = Dialogue.Normalize(request.Body)?["prompt"];
        var index = (current.Dialogue.Asked?["prompt"] as JsonArray)?.TakeWhile(prompt => !JsonNode.DeepEquals(prompt, asked)).Count() ?? current.Choices.Count;
        return index < current.Choices.Count ? index : Interlocked.Increment(ref _branches) % current.Choices.Count;
    }

    /// <summary>The choice whose prompt and first tokens these ids are, and how many of its tokens; null: none.</summary>
    private (RecordedTokens? Choice, int Count) Match(Recording current, List<uint> ids)
    {
        var found = new List<(RecordedTokens Choice, int Count)>();
        foreach (var choice in current.Choices)
        {
            var prompt = PromptOf(choice);
            if (ids.Count < prompt.Count || !ids.Take(prompt.Count).SequenceEqual(prompt))
                continue;
            var rest = ids.Skip(prompt.Count).ToList();
            var count = 0;
            for (var at = 0; at < rest.Count && count < choice.Tokens.Count; count++)
            {
                if (!rest.Skip(at).Take(choice.Tokens[count].Ids.Length).SequenceEqual(choice.Tokens[count].Ids))
                    break;
                at += choice.Tokens[count].Ids.Length;
            }
            if (choice.Tokens.Take(count).Sum(token => token.Ids.Length) == rest.Count)
                found.Add((choice, count));
        }
        // Each choice is asked for by itself.
        return found.Count == 0 ? (null, 0) : found[found.Count > 1 ? Interlocked.Increment(ref _branches) % found.Count : 0];
    }

    /// <summary>Invented ids of the prompt of a request.</summary>
    protected virtual List<uint> PromptOf(JsonElement request) => Model.PromptOf(request);

    /// <summary>The ids of a recorded prompt: recorded ones, those that the client gave, or invented ones, as many as the server counted.</summary>
    protected List<uint> PromptOf(RecordedTokens choice)
    {
        if (choice.PromptIds.Count > 0)
            return [.. choice.PromptIds];
        using var body = JsonDocument.Parse(choice.Dialogue.Body);
        var prompts = choice.Dialogue.Asked?["prompt"] as JsonArray;
        if (prompts is { Count: > 0 } && prompts[0]!.GetValueKind() == JsonValueKind.Number)
            return Model.PromptOf(body.RootElement);
        if (prompts is { Count: > 0 } && prompts[choice.Choice] is JsonArray own)
            return [.. own.Select(id => id!.GetValue<uint>())];
        var ids = prompts is { Count: > 0 } ? Model.OfText(prompts[choice.Choice]!.ToString()) : PromptOf(body.RootElement);
        if (choice.CountedPromptTokens is not { } counted)
            return ids;
        // The server counts all prompts of a request; llama.cpp counts one.
        if (prompts is { Count: > 1 } several && choice.Timings is null)
            counted = (counted * (choice.Choice + 1) / several.Count) - (counted * choice.Choice / several.Count);
        // The end shows whether the answer begins with reasoning.
        return [.. Enumerable.Repeat(ids[0], Math.Max(0, counted - ids.Count)), .. ids.TakeLast(counted)];
    }

    private Task<Ending> StreamIdsAsync(Exchange exchange, RecordedTokens answer, int count, int promptTokens)
    {
        // The call for ids is not told the client's stop texts: it goes on.
        var behind = BehindStop(answer);
        IReadOnlyList<RecordedToken> tokens = [.. answer.Tokens, .. behind];
        var reason = behind.Count > 0 ? "length" : answer.Reason;
        if (count > 0 && answer.BeginsAnew)
            tokens = [.. tokens.Take(count), .. tokens.Take(tokens.Count - count)];
        return StreamIdsAsync(exchange, answer, tokens, count, reason, promptTokens);
    }

    /// <summary>The client's dialogue.</summary>
    private sealed class Recording(Dialogue dialogue, IReadOnlyList<RecordedTokens> choices)
    {
        private readonly Dictionary<uint, string> _texts = TextsOf(choices);

        public Dialogue Dialogue => dialogue;

        public IReadOnlyList<RecordedTokens> Choices => choices;

        /// <summary>The text of a recorded id; null: it is none.</summary>
        public string? TextOf(uint id) => _texts.GetValueOrDefault(id);

        private static Dictionary<uint, string> TextsOf(IReadOnlyList<RecordedTokens> choices)
        {
            var texts = new Dictionary<uint, string>();
            foreach (var token in choices.SelectMany(choice => choice.Tokens))
            {
                for (var i = 0; i < token.Ids.Length; i++)
                    texts.TryAdd(token.Ids[i], i == 0 ? token.Text : "");
            }
            return texts;
        }
    }
}
