using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Skein.Upstreams.Tests.Servers;

/// <summary>
/// Answers from the recordings of one server: from the current dialogue if the request asks for the same, else from the recording that asks for the same,
/// else from the nearest one of the same path.
/// </summary>
internal sealed class DialogueServer : IAsyncDisposable
{
    /// <summary>Recorded while the server was in another state, or was started with other flags.</summary>
    private static readonly string[] OtherStates =
        ["loading-", "busy-", "auth-", "api-key-", "context-", "killed-", "sigterm-", "abort", "slots-after",
            "slots-busy", "metrics-busy", "health-busy", "ctx-of", "embeddings-on",
            "chat-engine-dead", "chat-aborted", "reasoning-", "chat-reasoning-", "metrics-off", "metrics-open", "host-foreign"];

    private readonly IReadOnlyList<Dialogue> _dialogues;
    private readonly ConcurrentQueue<string> _notes = [];
    private Dialogue? _current;
    private int _branches = -1;

    /// <param name="name">Folder of the recordings.</param>
    /// <param name="parsesReasoning">Whether it was started with a parser of reasoning, as for some of the recordings.</param>
    public DialogueServer(string name, bool parsesReasoning = false)
    {
        _dialogues = Dialogue.Read(name);
        Rules = RecordedRules.Of(name, parsesReasoning);
        Server = new ScriptedServer { Everything = AnswerAsync };
        Server.On("/v1/models", AnswerAsync).On("/health", AnswerAsync);
        if (Rules is LlamaCppRules)
            Server.On("/v1/models", LlamaCppRules.Models(_dialogues.First(dialogue => dialogue.Name == "models").AnswerBody));
        if (parsesReasoning && Rules is SgLangRules)
            Server.On("/model_info", Answers.Json($$"""{"model_path":"/models/tiny-v1","is_generation":true,"reasoning_parser":"{{SgLangServer.Parser}}"}"""));
    }

    public ScriptedServer Server { get; }

    /// <summary>The dialogue that the client asks for.</summary>
    public Dialogue? Current
    {
        get => _current;
        set
        {
            (_current, _branches) = (value, -1);
            Rules?.Current = value;
        }
    }

    /// <summary>What it does beside the recordings; null: nothing.</summary>
    public RecordedRules? Rules { get; }

    /// <summary>Requests since the last call that no recording fits, and which one was taken instead.</summary>
    public IReadOnlyList<string> TakeNotes()
    {
        var notes = new List<string>();
        while (_notes.TryDequeue(out var note))
            notes.Add(note);
        return notes;
    }

    public ValueTask DisposeAsync() => Server.DisposeAsync();

    private static bool IsOfAnotherState(Dialogue dialogue) => OtherStates.Any(prefix => dialogue.Name.StartsWith(prefix, StringComparison.Ordinal));

    private async Task<Ending> AnswerAsync(Exchange exchange)
    {
        if (Rules is { } rules && await rules.TryAnswerAsync(exchange) is { } ending)
            return ending;
        var dialogue = Find(exchange.Request);
        if (dialogue is null)
        {
            _notes.Enqueue($"nothing recorded for {exchange.Request.Method} {exchange.Request.Path} {exchange.Request.Body}");
            return await Answers.Json("""{"detail":"Not Found"}""", 404)(exchange);
        }
        if (dialogue.Answer.Length == 0)
            return Ending.Close;
        if (exchange.Request is { IsGeneration: true, IsStreamed: true } && dialogue.Status == 200)
        {
            var events = DialogueStream.EventsOf(dialogue);
            var choices = DialogueStream.CountChoices(events);
            // The gateway asks for each choice by itself. Some servers answer one choice only, whatever they are asked.
            if (choices > 1 && !IsSame(dialogue, exchange.Request, Dialogue.Normalize(exchange.Request.Body))
                && DialogueStream.ChoicesAsked(Dialogue.Normalize(exchange.Request.Body)) == 1)
                events = [.. DialogueStream.ChoiceOf(events, ChoiceFor(dialogue, exchange.Request, choices), arePrompts: PromptsOf(dialogue) is not null)];
            else if (dialogue.IsStreamed || Rules is null)
                // As it was recorded: how this server would stream a whole answer is not known.
                events = [];
            if (events.Count > 0)
                return await Answers.Stream([.. events, "[DONE]"])(exchange);
        }
        await exchange.SendBytesAsync(dialogue.Answer);
        return Ending.Close;
    }

    /// <summary>The prompts of a request with several; null if it has one.</summary>
    private static JsonArray? PromptsOf(Dialogue dialogue) =>
        dialogue.Asked?["prompt"] is JsonArray { Count: > 1 } prompts && prompts.All(prompt => prompt is JsonArray || prompt?.GetValueKind() == JsonValueKind.String)
            ? prompts
            : null;

    private int ChoiceFor(Dialogue dialogue, ScriptedRequest request, int choices)
    {
        var prompt = Dialogue.Normalize(request.Body)?["prompt"];
        var index = PromptsOf(dialogue)?.TakeWhile(recorded => !JsonNode.DeepEquals(recorded, prompt)).Count() ?? choices;
        return index < choices ? index : Interlocked.Increment(ref _branches) % choices;
    }

    private Dialogue? Find(ScriptedRequest request)
    {
        var asked = Dialogue.Normalize(request.Body);
        if (Current is { } batch && batch.Path == request.Path && !request.Body.Contains("return_token", StringComparison.Ordinal)
            && PromptsOf(batch)?.Any(prompt => JsonNode.DeepEquals(prompt, asked?["prompt"])) == true)
            return batch;
        if (Current is { } current && current.Method == request.Method && current.Path == request.Path && IsSame(current, request, asked))
            return current;
        var candidates = _dialogues.Where(
            dialogue => dialogue.Method == request.Method && dialogue.Path == request.Path && !IsOfAnotherState(dialogue)).ToList();
        if (candidates.Find(dialogue => IsSame(dialogue, request, asked)) is { } same)
            return same;
        if (request.IsGeneration && Current is { } wanted && (wanted.Path == request.Path || (wanted.Status >= 400 && (asked?["prompt"] ?? asked?["input_ids"]) is JsonArray)))
        {
            _notes.Enqueue($"the answer of {wanted.Name} is taken for {request.Path} {Short(request.Body)}");
            return wanted;
        }
        var nearest = candidates.MaxBy(dialogue =>
            Likeness(ObjectOf(dialogue.Body), ObjectOf(request.Body)) - (dialogue.Status == 200 ? 0 : 100)
                - (dialogue.IsStreamed == request.IsStreamed ? 0 : 10));
        if (nearest is not null)
            _notes.Enqueue($"the nearest of {request.Path} {Short(request.Body)} is {nearest.Name}");
        return nearest;
    }

    private static string Short(string body) => body.Length > 160 ? body[..160] + "…" : body;

    private static bool IsSame(Dialogue dialogue, ScriptedRequest request, JsonObject? asked)
    {
        if (asked is null || dialogue.Asked is not { } recorded)
            return dialogue.Body.Trim() == request.Body.Trim();
        // The gateway draws the seed that is missing.
        if (recorded["seed"] is null && asked["seed"] is { } seed)
            recorded["seed"] = seed.DeepClone();
        return JsonNode.DeepEquals(recorded, asked);
    }

    private static JsonObject? ObjectOf(string body)
    {
        try
        {
            return JsonNode.Parse(body) as JsonObject;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    // Names count more than values: a call is like another one of its form.
    private static int Likeness(JsonObject? recorded, JsonObject? asked) => recorded is null || asked is null ? 0
        : (4 * asked.Count(member => recorded.ContainsKey(member.Key)))
            + asked.Count(member => recorded.TryGetPropertyValue(member.Key, out var value) && JsonNode.DeepEquals(value, member.Value))
            - recorded.Count(member => !asked.ContainsKey(member.Key));
}

/// <summary>A whole answer as the same server would stream it.</summary>
internal static class DialogueStream
{
    /// <summary>The events of a generation; none if it is no generation.</summary>
    public static IReadOnlyList<string> EventsOf(Dialogue dialogue)
    {
        if (dialogue.IsStreamed)
            return [.. dialogue.AnswerBody.Split('\n').Where(line => line.StartsWith("data: {", StringComparison.Ordinal))
                .Select(line => line["data: ".Length..].Trim())];
        return dialogue.Path.EndsWith("/completions", StringComparison.Ordinal) && JsonNode.Parse(dialogue.AnswerBody) is JsonObject whole && whole["choices"] is JsonArray ? [.. Of(whole)] : [];
    }

    public static int ChoicesAsked(JsonObject? asked) => asked?["n"] is JsonValue value && value.TryGetValue<int>(out var count) ? count : 1;

    /// <summary>Number of choices in events.</summary>
    public static int CountChoices(IReadOnlyList<string> events) => events
        .SelectMany(data => JsonNode.Parse(data)!["choices"] as JsonArray ?? []).Select(choice => choice?["index"]?.GetValue<int>() ?? 0).Distinct().Count();

    /// <summary>The events of one choice, which becomes choice 0. The first choice has the usage of all.</summary>
    /// <param name="arePrompts">Whether the choices are answers to several prompts, not to one.</param>
    public static IEnumerable<string> ChoiceOf(IReadOnlyList<string> events, int choice, bool arePrompts)
    {
        foreach (var data in events)
        {
            var chunk = JsonNode.Parse(data)!.AsObject();
            if (chunk["choices"] is JsonArray { Count: > 0 } choices)
            {
                var mine = choices.OfType<JsonObject>().FirstOrDefault(candidate => candidate["index"]?.GetValue<int>() == choice)?.DeepClone().AsObject();
                if (mine is null)
                    continue;
                mine["index"] = 0;
                chunk["choices"] = new JsonArray(mine);
            }
            if (choice > 0 && chunk["usage"] is JsonObject usage)
            {
                usage["completion_tokens"] = 0;
                if (arePrompts)
                    usage["prompt_tokens"] = 0;
                usage["total_tokens"] = usage["prompt_tokens"]?.DeepClone();
            }
            yield return chunk.ToJsonString();
        }
    }

    private static IEnumerable<string> Of(JsonObject whole)
    {
        var isChat = whole["object"]?.GetValue<string>() == "chat.completion";
        var choices = whole["choices"]!.AsArray();
        foreach (var choice in choices.OfType<JsonObject>())
        {
            var text = (JsonObject)choice.DeepClone();
            var finish = new JsonObject { ["index"] = choice["index"]?.DeepClone() ?? 0 };
            if (isChat)
            {
                text["delta"] = Delta(choice["message"] as JsonObject);
                text.Remove("message");
                finish["delta"] = new JsonObject();
            }
            else
            {
                finish["text"] = "";
            }
            // Everything beside text and log probabilities comes with the finish reason.
            foreach (var member in choice.Where(member => member.Key is not ("index" or "text" or "message" or "logprobs")).ToList())
            {
                finish[member.Key] = member.Value?.DeepClone();
                text.Remove(member.Key);
            }
            text["finish_reason"] = null;
            yield return Chunk(whole, isChat, text, null).ToJsonString();
            yield return Chunk(whole, isChat, finish, null).ToJsonString();
        }
        if (whole["usage"] is { } usage)
            yield return Chunk(whole, isChat, null, usage.DeepClone()).ToJsonString();
    }

    private static JsonObject Delta(JsonObject? message)
    {
        var delta = (JsonObject?)message?.DeepClone() ?? [];
        var index = 0;
        foreach (var call in (delta["tool_calls"] as JsonArray ?? []).OfType<JsonObject>())
            call["index"] = index++;
        return delta;
    }

    private static JsonObject Chunk(JsonObject whole, bool isChat, JsonObject? choice, JsonNode? usage)
    {
        var chunk = (JsonObject)whole.DeepClone();
        chunk["object"] = isChat ? "chat.completion.chunk" : "text_completion";
        chunk["choices"] = choice is null ? [] : new JsonArray(choice);
        chunk.Remove("usage");
        if (usage is not null)
            chunk["usage"] = usage;
        return chunk;
    }
}
