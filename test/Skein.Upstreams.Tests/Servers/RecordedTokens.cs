using System.Collections.Concurrent;
using System.Text.Json.Nodes;

namespace Skein.Upstreams.Tests.Servers;

/// <summary>A token of a recorded answer. Immutable.</summary>
/// <param name="Text">Its text before any parser of the server.</param>
/// <param name="Ids">Recorded ids, or an invented one.</param>
/// <param name="Logprobs">Its log probabilities as the answer's call gives them; null: none.</param>
internal sealed record RecordedToken(string Text, uint[] Ids, JsonNode? Logprobs);

/// <summary>One choice of a recorded answer as the tokens that the model generated. Immutable.</summary>
internal sealed class RecordedTokens
{
    private const string CloseMark = "</think>";

    private static readonly string[] GrammarMembers = ["response_format", "structured_outputs", "json_schema", "regex", "ebnf"];

    private RecordedTokens(Dialogue dialogue, int choice, IReadOnlyList<RecordedEvent> events)
    {
        (Dialogue, Choice, Events) = (dialogue, choice, events);
        Tokens = [.. events.SelectMany(said => said.Tokens)];
        var choices = events.Select(said => said.Chunk["choices"] is JsonArray { Count: > 0 } list ? list[0] : null).OfType<JsonObject>().ToList();
        Reason = choices.Select(part => part["finish_reason"]?.ToString()).LastOrDefault(reason => reason is not null) ?? "";
        Stop = choices.Select(part => part["stop_reason"] ?? part["matched_stop"]).LastOrDefault(stop => stop is not null)
            // llama.cpp does not tell it.
            ?? (Reason == "stop" && events.Any(said => said.Chunk["timings"] is not null) ? dialogue.Asked?["stop"]?[0] : null);
        Usage = events.Select(said => said.Chunk["usage"]).LastOrDefault(usage => usage is JsonObject);
        PromptIds = [.. (events.Select(said => said.Chunk["prompt_token_ids"]).Concat(choices.Select(part => part["prompt_token_ids"]))
            .FirstOrDefault(ids => ids is JsonArray) as JsonArray ?? []).Select(id => id!.GetValue<uint>())];
    }

    public Dialogue Dialogue { get; }

    /// <summary>Number of the choice.</summary>
    public int Choice { get; }

    /// <summary>The events of a stream, each with the tokens that it adds. A whole answer is cut into some.</summary>
    public IReadOnlyList<RecordedEvent> Events { get; }

    public IReadOnlyList<RecordedToken> Tokens { get; }

    /// <summary>The finish reason; empty: there is none.</summary>
    public string Reason { get; }

    /// <summary>The stop text or the id that ended it; null: neither did.</summary>
    public JsonNode? Stop { get; }

    public JsonNode? Usage { get; }

    /// <summary>Tokens of all prompts as the server counted them, or of one (llama.cpp); null: it did not.</summary>
    public int? CountedPromptTokens { get; private init; }

    /// <summary>llama.cpp's timings of the whole answer; null: there are none.</summary>
    public JsonNode? Timings { get; private init; }

    /// <summary>Recorded ids of the prompt; none: they were not recorded.</summary>
    public IReadOnlyList<uint> PromptIds { get; }

    /// <summary>Whether the server's state is lost when the answer is continued by ids: its grammar and its generator begin anew.</summary>
    public bool BeginsAnew => Dialogue.Asked is { } asked
        && (GrammarMembers.Any(asked.ContainsKey) || (asked["temperature"] is JsonValue heat && heat.GetValue<double>() > 0));

    /// <summary>The choices of a generation; none if it is no whole one.</summary>
    public static IReadOnlyList<RecordedTokens> Of(Dialogue dialogue)
    {
        if (dialogue.Status != 200 || dialogue.Answer.Length == 0)
            return [];
        var events = DialogueStream.EventsOf(dialogue);
        var isSeveral = Math.Max(1, DialogueStream.CountChoices(events));
        var chunks = events.Select(data => JsonNode.Parse(data)!).ToList();
        var timings = chunks.Select(chunk => chunk["timings"]).LastOrDefault(timings => timings is not null);
        var counted = chunks.Select(chunk => chunk["usage"]?["prompt_tokens"]?.GetValue<int>()).LastOrDefault(count => count is not null)
            ?? CountIn(timings, "cache_n") + CountIn(timings, "prompt_n");
        return
        [
            .. Enumerable.Range(0, isSeveral)
                .Select(choice => new RecordedTokens(dialogue, choice, EventsOf(dialogue, events, choice, isSeveral)) 
                {
                    CountedPromptTokens = counted, Timings = timings,
                })
                .Where(tokens => tokens.Reason.Length > 0),
        ];
    }

    private static List<RecordedEvent> EventsOf(Dialogue dialogue, IReadOnlyList<string> all, int choice, int choices)
    {
        var arePrompts = dialogue.Asked?["prompt"] is JsonArray { Count: > 1 } && choices > 1;
        var mine = choices > 1 ? [.. DialogueStream.ChoiceOf(all, choice, arePrompts)] : all;
        var chunks = mine.Select(data => JsonNode.Parse(data)!.AsObject()).ToList();
        var recorded = dialogue.IsStreamed || choices > 1 ? [] : TakeIds(chunks);
        // The usage of several choices is that of all. The token that ends the answer, or completes a stop text, is not part of it.
        var usage = all.Select(data => JsonNode.Parse(data)!)
            .Select(chunk => chunk["usage"]?["completion_tokens"]?.GetValue<int>() ?? CountIn(chunk["timings"], "predicted_n") ?? 0).LastOrDefault();
        var hasEnd = chunks.Select(chunk => chunk["choices"] is JsonArray { Count: > 0 } list ? list[0] : null)
            .Any(said => said?["finish_reason"]?.ToString() == "stop" && !IsId(said["stop_reason"] ?? said["matched_stop"]));
        // llama.cpp counts one of them.
        var each = chunks.Exists(chunk => chunk["timings"] is not null) ? usage : usage / choices;
        var counted = recorded.Length > 0 ? recorded.Length : each - (hasEnd ? 1 : 0);
        var events = new List<RecordedEvent>();
        var isReasoning = false;
        foreach (var chunk in chunks)
        {
            var said = chunk["choices"] is JsonArray { Count: > 0 } list ? list[0]!.AsObject() : null;
            if (IdsIn(said?["logprobs"]) is { Count: > 0 } known)
            {
                events.AddRange(known.Select(token => new RecordedEvent(WithToken(chunk, token), [token])));
                continue;
            }
            var delta = said?["delta"] as JsonObject ?? said;
            var reasoning = (delta?["reasoning"] ?? delta?["reasoning_content"])?.ToString() ?? "";
            var text = (delta?["content"] ?? delta?["text"])?.ToString() ?? "";
            var tokens = new List<RecordedToken>();
            if ((isReasoning || reasoning.Length > 0) && text.Length > 0)
                tokens.Add(new RecordedToken(CloseMark, [PieceIds.Of(CloseMark)], null));
            isReasoning = (isReasoning || reasoning.Length > 0) && text.Length == 0;
            var piece = reasoning + text;
            uint[] ids = [.. (said?["token_ids"] as JsonArray ?? []).Select(id => id!.GetValue<uint>())];
            if (piece.Length > 0 || ids.Length > 0)
                tokens.Add(new RecordedToken(piece, ids.Length > 0 ? ids : PieceIds.Of(piece, CountIn(said?["logprobs"])), said?["logprobs"]?.DeepClone()));
            if (!dialogue.IsStreamed && choices == 1 && ids.Length == 0 && said?["logprobs"] is null && piece.Length >= counted && counted > 1)
                events.AddRange(Cut(chunk, reasoning, text, tokens.Count > 1, counted - (tokens.Count > 1 ? 1 : 0), recorded));
            else
                events.Add(new RecordedEvent(chunk, tokens));
        }
        // An event may have several tokens: the last one has those that are left.
        var missing = counted - events.Sum(said => said.Tokens.Sum(token => token.Ids.Length));
        var last = events.FindLastIndex(said => said.Tokens.Count > 0);
        if (missing > 0 && last >= 0)
        {
            var token = events[last].Tokens[^1];
            var longer = token with { Ids = [.. token.Ids, .. PieceIds.Fillers(missing)] };
            events[last] = events[last] with { Tokens = [.. events[last].Tokens.SkipLast(1), longer] };
        }
        return events;
    }

    private static int? CountIn(JsonNode? timings, string name) => timings?[name]?.GetValue<int>();

    private static bool IsId(JsonNode? stop) => stop is JsonValue value && value.GetValueKind() == System.Text.Json.JsonValueKind.Number;

    /// <summary>Takes the ids of a whole answer from the event that ends it.</summary>
    private static uint[] TakeIds(List<JsonObject> chunks)
    {
        foreach (var said in chunks.Select(chunk => chunk["choices"] is JsonArray { Count: > 0 } list ? list[0] as JsonObject : null))
        {
            // Those of SGLang's chats stay with the end, where its stream would have them.
            if (said?["response_token_ids"] is JsonArray told)
                return [.. told.Select(id => id!.GetValue<uint>())];
            if (said?["token_ids"] is not JsonArray ids)
                continue;
            said.Remove("token_ids");
            return [.. ids.Select(id => id!.GetValue<uint>())];
        }
        return [];
    }

    /// <summary>The tokens of log probabilities that tell ids.</summary>
    private static IReadOnlyList<RecordedToken> IdsIn(JsonNode? logprobs) =>
    [
        .. (logprobs?["content"] as JsonArray ?? []).Where(item => item!["id"] is not null).Select(item => new RecordedToken(
            item!["token"]!.ToString(), [item["id"]!.GetValue<uint>()], new JsonObject { ["content"] = new JsonArray(item.DeepClone()) })),
    ];

    private static JsonObject WithToken(JsonObject chunk, RecordedToken token)
    {
        var piece = WithText(chunk, token.Text, isReasoning: false);
        piece["choices"]![0]!["logprobs"] = token.Logprobs!.DeepClone();
        return piece;
    }

    // One for each token, in either form.
    private static int CountIn(JsonNode? logprobs) => Math.Max(1, ((logprobs?["content"] ?? logprobs?["tokens"]) as JsonArray)?.Count ?? 1);

    /// <summary>A whole text as the stream of its tokens, all of about the same length.</summary>
    /// <param name="ids">Recorded ids, one for each; none: invented ones.</param>
    private static IEnumerable<RecordedEvent> Cut(JsonObject chunk, string reasoning, string text, bool hasMark, int count, uint[] ids)
    {
        // A token is reasoning or content.
        var ofReasoning = reasoning.Length == 0 ? 0
            : text.Length == 0 ? count
            : Math.Clamp(count * reasoning.Length / (reasoning.Length + text.Length), 1, count - 1);
        IReadOnlyList<string> parts = [.. Pieces(reasoning, ofReasoning), .. Pieces(text, count - ofReasoning)];
        foreach (var (index, part) in parts.Index())
        {
            var isReasoning = index < ofReasoning;
            var token = new RecordedToken(part, [index < ids.Length ? ids[index] : PieceIds.Of(part)], null);
            yield return new RecordedEvent(
                WithText(chunk, part, isReasoning),
                hasMark && index == ofReasoning ? [new RecordedToken(CloseMark, [PieceIds.Of(CloseMark)], null), token] : [token]);
        }
    }

    private static IEnumerable<string> Pieces(string text, int count) =>
        Enumerable.Range(0, count).Select(index => text[(text.Length * index / count)..(text.Length * (index + 1) / count)]);

    private static JsonObject WithText(JsonObject chunk, string text, bool isReasoning)
    {
        var piece = (JsonObject)chunk.DeepClone();
        var said = piece["choices"]![0]!.AsObject();
        if (said["delta"] is not JsonObject delta)
        {
            said["text"] = text;
            return piece;
        }
        var name = !isReasoning ? "content" : delta["reasoning"] is not null ? "reasoning" : "reasoning_content";
        foreach (var other in (string[])["content", "reasoning", "reasoning_content"])
            delta.Remove(other);
        delta[name] = text;
        return piece;
    }
}

/// <summary>An event of a recorded stream.</summary>
/// <param name="Chunk">Its data.</param>
/// <param name="Tokens">What it adds; none: no text.</param>
internal sealed record RecordedEvent(JsonObject Chunk, IReadOnlyList<RecordedToken> Tokens);

/// <summary>Invented token ids: one for each text that was asked for, the same everywhere. Thread-safe.</summary>
internal static class PieceIds
{
    private const uint First = 100_000;
    private const uint FirstFiller = 90_000;

    private static readonly ConcurrentDictionary<string, uint> Ids = new(StringComparer.Ordinal);
    private static readonly ConcurrentDictionary<uint, string> Texts = [];
    private static int _count;

    public static uint Of(string text) => Ids.GetOrAdd(text, static added =>
    {
        var id = First + (uint)Interlocked.Increment(ref _count);
        Texts[id] = added;
        return id;
    });

    /// <summary>Several ids for a text: the first one has all of it.</summary>
    public static uint[] Of(string text, int count) => [Of(text), .. Fillers(count - 1)];

    /// <summary>Ids without text.</summary>
    public static IEnumerable<uint> Fillers(int count) => Enumerable.Range(0, count).Select(number => FirstFiller + (uint)number);

    /// <summary>Null: no text has this id.</summary>
    public static string? TextOf(uint id) => id is >= FirstFiller and < First ? "" : Texts.GetValueOrDefault(id);
}
