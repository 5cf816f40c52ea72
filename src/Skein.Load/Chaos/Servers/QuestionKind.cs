using System.Text.Json.Nodes;

namespace Skein.Load.Chaos.Servers;

/// <summary>A kind of request, by what it has beside a question. Immutable.</summary>
/// <param name="Name">Name in reports and settings.</param>
/// <param name="Members">Further members of the body, as a JSON object.</param>
public sealed record QuestionKind(string Name, string Members)
{
    private const string Person =
        """{"type":"object","properties":{"name":{"type":"string","maxLength":48},"town":{"type":"string","maxLength":48}},"required":["name","town"]}""";

    // What the client already has of the answer.
    private const string Begun = "Once upon a time, there";

    private const string Schema = """{"type":"json_schema","json_schema":{"name":"person","schema":""" + Person + "}}";

    private const string Tools =
        """[{"type":"function","function":{"name":"look_up","description":"Looks a person up","parameters":""" + Person + "}}]";

    /// <summary>All kinds, in the order of reports.</summary>
    public static IReadOnlyList<QuestionKind> All { get; } =
    [
        new("completion", "{}") { IsChat = false },
        new("completion-logprobs", """{"logprobs":2}""") { IsChat = false },
        new("chat", "{}"),
        new("chat-whole", "{}") { IsWhole = true },
        new("chat-stop", "{}") { HasStop = true },
        new("chat-logprobs", """{"logprobs":true,"top_logprobs":2}"""),
        new("chat-n2", """{"n":2}""") { Choices = 2 },
        new("chat-seed", """{"temperature":1,"seed":7}""") { IsSampled = true },
        new("chat-ignore-eos", """{"ignore_eos":true}"""),
        new("chat-token-ids", """{"return_token_ids":true}"""),
        new("chat-prefill", "{}") { IsBegun = true },
        new("chat-thinking-off", """{"chat_template_kwargs":{"enable_thinking":false}}"""),
        new("chat-json-schema", "{\"response_format\":" + Schema + "}"),
        new("chat-json-schema-logprobs", "{\"logprobs\":true,\"top_logprobs\":2,\"response_format\":" + Schema + "}"),
        new("chat-tools-auto", "{\"tools\":" + Tools + "}"),
        new("chat-tools-required", "{\"tools\":" + Tools + ",\"tool_choice\":\"required\"}"),
        new("chat-tools-streamed", "{\"tools\":" + Tools + ",\"tool_choice\":\"required\"}") { StreamsCalls = true },
    ];

    /// <summary>Whether it is a chat, not a completion. Default: true.</summary>
    public bool IsChat { get; init; } = true;

    /// <summary>Whether the answer is asked for as a whole, not as a stream. Default: false.</summary>
    public bool IsWhole { get; init; }

    /// <summary>Whether the answer depends on a generator, with a seed of the client. Default: false, which is greedy.</summary>
    public bool IsSampled { get; init; }

    /// <summary>Whether a stop text ends the answer: a part of the answer that comes without one. Default: false.</summary>
    public bool HasStop { get; init; }

    /// <summary>Whether the last message is the beginning of the answer. Default: false.</summary>
    public bool IsBegun { get; init; }

    /// <summary>Whether tool calls are asked for in pieces, as the server makes them. Default: false, each comes whole.</summary>
    public bool StreamsCalls { get; init; }

    /// <summary>Number of choices that are asked for. Default: 1.</summary>
    public int Choices { get; init; } = 1;

    /// <summary>The body of a request.</summary>
    /// <param name="stop">Stop text; null: none.</param>
    /// <param name="extra">Further members of requests of all kinds. Those of the kind win.</param>
    internal string BodyOf(string model, string question, int maxTokens, string? stop, IReadOnlyDictionary<string, JsonElement> extra)
    {
        var body = new JsonObject { ["model"] = model, ["max_tokens"] = maxTokens, ["temperature"] = 0 };
        if (IsChat)
            body["messages"] = MessagesOf(question);
        else
            body["prompt"] = question;
        if (!IsWhole)
            (body["stream"], body["stream_options"]) = (true, new JsonObject { ["include_usage"] = true });
        if (stop is not null)
            body["stop"] = new JsonArray(stop);
        foreach (var (name, value) in extra)
            body[name] = JsonNode.Parse(value.GetRawText());
        foreach (var (name, value) in JsonNode.Parse(Members)!.AsObject())
            body[name] = value?.DeepClone();
        return body.ToJsonString();
    }

    private JsonArray MessagesOf(string question)
    {
        var messages = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = question });
        if (IsBegun)
            messages.Add(new JsonObject { ["role"] = "assistant", ["content"] = Begun });
        return messages;
    }
}
