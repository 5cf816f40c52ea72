using System.Collections.Concurrent;
using System.Text;
using System.Text.Json.Nodes;

namespace Skein.Upstreams.Tests.Servers;

/// <summary>
/// Answers from the recordings of one server: from the current dialogue if the request asks for the same, else from the recording that asks for the same, else from the
/// nearest one of the same path.
/// </summary>
internal sealed class DialogueServer : IAsyncDisposable
{
    /// <summary>Recorded while the server was in another state, or was started with other flags.</summary>
    private static readonly string[] OtherStates =
        ["loading-", "busy-", "auth-", "api-key-", "context-", "killed-", "sigterm-", "abort", "slots-after", "slots-busy", "metrics-busy", "health-busy", "ctx-of", "embeddings-on",
            "chat-engine-dead", "chat-aborted", "reasoning-", "chat-reasoning-", "metrics-off", "metrics-open", "host-foreign"];

    private readonly IReadOnlyList<Dialogue> _dialogues;
    private readonly ConcurrentQueue<string> _notes = [];

    public DialogueServer(string name)
    {
        _dialogues = Dialogue.Read(name);
        Server = new ScriptedServer { Everything = AnswerAsync };
        Server.On("/v1/models", AnswerAsync).On("/health", AnswerAsync);
    }

    public ScriptedServer Server { get; }

    /// <summary>The dialogue that the client asks for.</summary>
    public Dialogue? Current { get; set; }

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
        var dialogue = Find(exchange.Request);
        if (dialogue is null)
        {
            _notes.Enqueue($"nothing recorded for {exchange.Request.Method} {exchange.Request.Path} {exchange.Request.Body}");
            return await Answers.Json("""{"detail":"Not Found"}""", 404)(exchange);
        }
        if (dialogue.Answer.Length == 0)
            return Ending.Close;
        if (exchange.Request.IsGeneration && exchange.Request.IsStreamed && dialogue is { IsStreamed: false, Status: 200 })
        {
            if (JsonNode.Parse(dialogue.AnswerBody) is JsonObject whole && whole["choices"] is JsonArray)
                return await Answers.Stream([.. DialogueStream.Of(whole), "[DONE]"])(exchange);
        }
        await exchange.SendBytesAsync(dialogue.Answer);
        return Ending.Close;
    }

    private Dialogue? Find(ScriptedRequest request)
    {
        var asked = Dialogue.Normalize(request.Body);
        if (Current is { } current && current.Method == request.Method && current.Path == request.Path && IsSame(current, request, asked))
            return current;
        var candidates = _dialogues.Where(dialogue => dialogue.Method == request.Method && dialogue.Path == request.Path && !IsOfAnotherState(dialogue)).ToList();
        if (candidates.Find(dialogue => IsSame(dialogue, request, asked)) is { } same)
            return same;
        if (request.IsGeneration && Current is { } wanted && wanted.Path == request.Path)
        {
            _notes.Enqueue($"the answer of {wanted.Name} is taken for {request.Path} {Short(request.Body)}");
            return wanted;
        }
        var nearest = candidates.MaxBy(dialogue =>
            Likeness(ObjectOf(dialogue.Body), ObjectOf(request.Body)) - (dialogue.Status == 200 ? 0 : 100) - (dialogue.IsStreamed == request.IsStreamed ? 0 : 10));
        if (nearest is not null)
            _notes.Enqueue($"the nearest of {request.Path} {Short(request.Body)} is {nearest.Name}");
        return nearest;
    }

    private static string Short(string body) => body.Length > 160 ? body[..160] + "…" : body;

    private static bool IsSame(Dialogue dialogue, ScriptedRequest request, JsonObject? asked) =>
        asked is null || dialogue.Asked is null ? dialogue.Body.Trim() == request.Body.Trim() : JsonNode.DeepEquals(dialogue.Asked, asked);

    private static JsonObject? ObjectOf(string body)
    {
        try
        {
            return JsonNode.Parse(body) as JsonObject;
        }
        catch (System.Text.Json.JsonException)
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
    public static IEnumerable<string> Of(JsonObject whole)
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
