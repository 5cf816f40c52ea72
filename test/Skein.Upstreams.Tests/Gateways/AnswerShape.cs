using System.Text;
using System.Text.Json.Nodes;

namespace Skein.Upstreams.Tests.Gateways;

/// <summary>A difference between a server's answer and the gateway's that is meant.</summary>
/// <param name="Path">Member, or members separated by dots; a star is any index.</param>
/// <param name="Reason">Why it is not passed on as it is.</param>
internal sealed record KnownDifference(string Path, string Reason);

/// <summary>What an answer says, without how it is cut into events: the same for a server and for the gateway in front of it.</summary>
internal static class AnswerShape
{
    private const string OverflowCode = "error.code of an overflow";
    private const string EmptyContent = "choices.*.message.content, choices.*.delta.content";

    /// <summary>All differences that are meant. The documented list of them is docs/reference/compatibility.md.</summary>
    public static IReadOnlyList<KnownDifference> Known { get; } =
    [
        new("id", "An answer has one id, also after a failover: it is the gateway's."),
        new("model", "The answer names the model as the request does, whatever its server calls it."),
        new("models", "llama.cpp's list in Ollama's form; the gateway's list is made of the lists of all servers."),
        new("created", "The time of the request, once for all choices, also after a failover."),
        new("data.*.created", "The time at which the gateway first saw the model, where the server gives that of the question."),
        new("data.*.permission", "OpenAI's retired member; vLLM makes a new id at each request."),
        new("data.*.permissions", "OpenAI's retired member."),
        new("choices.*.tool_calls.*.id", "Servers draw it at random."),
        new("choices.*.delta.tool_calls.*.id", "Servers draw it at random."),
        new("[DONE] after an error", "A stream that ends in an error has no [DONE] and no proper end of the response."),
        new(OverflowCode, "context_length_exceeded where the prompt does not fit: clients recognise it, and servers give the status as the code."),
        new(EmptyContent, "Empty in a stream without text and null in a whole answer, where servers differ."),
        new("metadata", "SGLang's, in whole answers only: the gateway asks it for streams."),
        new("prompt_token_ids", "Null where nobody asked for ids; as if absent."),
    ];

    /// <summary>The differences of two answers; none if they say the same.</summary>
    /// <param name="direct">The server's.</param>
    /// <param name="through">The gateway's.</param>
    /// <param name="isUsageAsked">Whether the client asked for the usage. If not, a stream may have none, though some servers always send it.</param>
    public static IReadOnlyList<string> Differences(Reply direct, Reply through, bool isUsageAsked)
    {
        var differences = new List<string>();
        direct = Refused(direct);
        if (direct.Status != through.Status)
            differences.Add($"status: {direct.Status} -> {through.Status} {Short(through.Body)}");
        else if (direct.Status >= 400)
            CompareErrors(direct, through, differences);
        else if (direct.IsStream != through.IsStream)
            differences.Add($"content type: {direct.Header("Content-Type")} -> {through.Header("Content-Type")}");
        else if (Of(direct) is { } said && Of(through) is { } told)
        {
            // After an error the gateway sends nothing more.
            if (said is JsonObject { } failed && failed["error"] is JsonObject error && told is JsonObject ended && ended["error"] is not null)
            {
                error.Remove("object");
                failed["[DONE]"] = ended["[DONE]"]?.DeepClone();
            }
            if (!isUsageAsked && direct.IsStream && told is JsonObject without && without["usage"] is null)
                (said as JsonObject)?.Remove("usage");
            Compare("", said, told, differences);
        }
        else if (direct.Body != through.Body)
            differences.Add($"body: {Short(direct.Body)} -> {Short(through.Body)}");
        return differences;
    }

    /// <summary>
    /// An error in a stream before any text: the gateway has sent nothing yet, and tells it with the status that the error names. All else stays as it is.
    /// </summary>
    private static Reply Refused(Reply direct)
    {
        if (!direct.IsStream || direct.Error is not { } error || direct.Text.Length > 0 || Reply.Find(error, "code") is not { ValueKind: System.Text.Json.JsonValueKind.Number } code)
            return direct;
        return direct with { Status = code.GetInt32(), Headers = [], Body = new JsonObject { ["error"] = JsonNode.Parse(error.GetRawText()) }.ToJsonString() };
    }

    private static JsonNode? Of(Reply reply)
    {
        try
        {
            var answer = reply.IsStream ? Merge(reply) : JsonNode.Parse(reply.Body);
            if (answer is JsonObject json && json["choices"] is JsonArray { Count: > 1 } choices)
                json["choices"] = InAnyOrder(choices);
            return answer;
        }
        catch (System.Text.Json.JsonException)
        {
            return null;
        }
    }

    // The gateway asks for each choice by itself: which one is the first is chance.
    private static JsonArray InAnyOrder(JsonArray choices)
    {
        var sorted = choices.OfType<JsonObject>().Select(choice => choice.DeepClone().AsObject()).OrderBy(TextOf, StringComparer.Ordinal).ToArray();
        foreach (var choice in sorted)
            choice.Remove("index");
        return new JsonArray([.. sorted]);
    }

    private static string TextOf(JsonObject choice) => ((choice["delta"] ?? choice["message"])?["content"] ?? choice["text"])?.ToString() ?? "";

    /// <summary>All events as one object: texts are joined, lists too, of all else the last value counts.</summary>
    private static JsonObject Merge(Reply reply)
    {
        var merged = new JsonObject { ["[DONE]"] = reply.IsDone };
        var choices = new SortedDictionary<int, JsonObject>();
        foreach (var data in reply.Data.Where(data => data != "[DONE]"))
        {
            if (JsonNode.Parse(data) is not JsonObject chunk)
                continue;
            foreach (var choice in (chunk["choices"] as JsonArray ?? []).OfType<JsonObject>())
            {
                var index = choice["index"]?.GetValue<int>() ?? 0;
                if (!choices.TryGetValue(index, out var into))
                    choices[index] = into = [];
                Join(into, choice);
            }
            chunk.Remove("choices");
            foreach (var member in chunk.Where(member => member.Value is not null).ToList())
                merged[member.Key] = member.Value!.DeepClone();
        }
        merged["choices"] = new JsonArray([.. choices.Values]);
        return merged;
    }

    private static void Join(JsonObject into, JsonObject part)
    {
        foreach (var (name, value) in part)
        {
            if (value is null)
                continue;
            into[name] = (into[name], value) switch
            {
                (JsonValue before, JsonValue now) when name is not ("role" or "finish_reason" or "index" or "type" or "id")
                    && before.TryGetValue<string>(out var first) && now.TryGetValue<string>(out var next) => first + next,
                (JsonObject before, JsonObject now) => Joined(before, now),
                (JsonArray before, JsonArray now) => name == "tool_calls" ? JoinedCalls(before, now)
                    : new JsonArray([.. before.Select(item => item?.DeepClone()), .. now.Select(item => item?.DeepClone())]),
                _ => value.DeepClone(),
            };
        }
    }

    private static JsonObject Joined(JsonObject before, JsonObject now)
    {
        var joined = (JsonObject)before.DeepClone();
        Join(joined, now);
        return joined;
    }

    // The parts of a call have its index.
    private static JsonArray JoinedCalls(JsonArray before, JsonArray now)
    {
        var joined = (JsonArray)before.DeepClone();
        foreach (var call in now.OfType<JsonObject>())
        {
            var index = call["index"]?.GetValue<int>() ?? 0;
            if (joined.OfType<JsonObject>().FirstOrDefault(other => (other["index"]?.GetValue<int>() ?? 0) == index) is { } same)
                Join(same, call);
            else
                joined.Add(call.DeepClone());
        }
        return joined;
    }

    private static void Compare(string path, JsonNode? said, JsonNode? told, List<string> differences)
    {
        if (Known.Any(known => known.Path == path) || (path is "choices.*.message.content" or "choices.*.delta.content" && IsEmpty(said) && IsEmpty(told)))
            return;
        if (said is JsonObject first && (told is JsonObject || told is null))
        {
            var second = told as JsonObject ?? [];
            // Null is as if absent.
            foreach (var name in first.Concat(second).Select(member => member.Key).Distinct()
                .Where(name => first[name] is not null || second[name] is not null))
                Compare(path.Length == 0 ? name : $"{path}.{name}", first[name], second[name], differences);
        }
        else if (said is JsonArray ours && told is JsonArray theirs && ours.Count == theirs.Count)
        {
            for (var i = 0; i < ours.Count; i++)
                Compare($"{path}.*", ours[i], theirs[i], differences);
        }
        else if (!JsonNode.DeepEquals(said, told))
        {
            differences.Add($"{path}: {Short(said?.ToJsonString() ?? "absent")} -> {Short(told?.ToJsonString() ?? "absent")}");
        }
    }

    private static bool IsEmpty(JsonNode? text) => text is null || (text is JsonValue value && value.TryGetValue<string>(out var content) && content.Length == 0);

    private static void CompareErrors(Reply direct, Reply through, List<string> differences)
    {
        if (through.Error is not { } told)
        {
            differences.Add($"the error is not OpenAI's: {Short(through.Body)}");
            return;
        }
        var words = WordsOf(direct.Body);
        if (!through.ErrorMessage.Contains(words.Trim(), StringComparison.Ordinal))
            differences.Add($"error.message: {Short(words)} -> {Short(through.ErrorMessage)}");
        if (JsonOf(direct.Body) is not JsonObject said)
            return;
        var error = said["error"] as JsonObject ?? said;
        foreach (var name in (string[])["type", "param", "code"])
        {
            if (error[name] is { } value && value.ToJsonString() != Reply.Find(told, name)?.GetRawText() && !IsOverflowCode(name, told))
                differences.Add($"error.{name}: {value.ToJsonString()} -> {Reply.Find(told, name)?.GetRawText() ?? "absent"}");
        }
    }

    private static bool IsOverflowCode(string name, System.Text.Json.JsonElement error) =>
        name == "code" && Reply.Find(error, name)?.ToString() == "context_length_exceeded";

    private static JsonNode? JsonOf(string body)
    {
        try
        {
            return JsonNode.Parse(body);
        }
        catch (System.Text.Json.JsonException)
        {
            return null;
        }
    }

    private static string WordsOf(string body) => JsonOf(body) switch
    {
        JsonObject json when json["error"] is JsonObject error => error["message"]?.ToString() ?? "",
        JsonObject json => (json["error"] ?? json["message"] ?? (json["detail"] is JsonArray list ? list[0]?["msg"] : json["detail"]))?.ToString() ?? "",
        _ => body.Trim(),
    };

    private static string Short(string text) => text.Length > 200 ? new StringBuilder(text, 0, 200, 256).Append('…').ToString() : text;
}
