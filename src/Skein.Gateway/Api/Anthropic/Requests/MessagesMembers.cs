using Member = Skein.Gateway.Api.Http.JsonMember<Skein.Gateway.Api.Anthropic.Requests.MessagesRequest>;
using Google.Protobuf;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Api.OpenAi.Requests;

namespace Skein.Gateway.Api.Anthropic.Requests;

/// <summary>The members of <c>POST /v1/messages</c>. Unknown ones go to the engine byte for byte.</summary>
internal static class MessagesMembers
{
    private const string NoLogprobs = "null: a message has no log probabilities";

    /// <summary>Members of OpenAI's API that mean the same here.</summary>
    private static readonly string[] Shared =
    [
        "model", "temperature", "top_p", "top_k", "min_p", "seed", "presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias", "stream",
    ];

    /// <summary>Members without which the answer stays right: hints for Anthropic's caches, accounts and regions.</summary>
    private static readonly (string Name, JsonType Type)[] LeftOut =
    [
        ("cache_control", JsonType.Object), ("context_management", JsonType.Object), ("service_tier", JsonType.Text), ("inference_geo", JsonType.Text),
        ("speed", JsonType.Text), ("diagnostics", JsonType.Object), ("betas", JsonType.Array),
    ];

    /// <summary>Members of chats, and of Anthropic's older API, that ask here by another name.</summary>
    private static readonly (string Name, string Instead)[] Elsewhere =
    [
        ("prompt", "messages"), ("stop", "stop_sequences"), ("max_completion_tokens", "max_tokens"), ("max_tokens_to_sample", "max_tokens"),
        ("response_format", "output_config.format"), ("reasoning_effort", "output_config.effort"),
        ("parallel_tool_calls", "tool_choice.disable_parallel_tool_use"), ("functions", "tools"), ("function_call", "tool_choice"),
        ("logprobs", NoLogprobs), ("top_logprobs", NoLogprobs),
    ];

    /// <summary>Members that ask for something only Anthropic's servers do.</summary>
    private static readonly string[] Refused = ["mcp_servers", "container", "fallbacks"];

    public static readonly JsonMembers<MessagesRequest> All = new(
    [
        .. RequestMembers.Shared.Where(member => Shared.Contains(member.Name)).Select(member => new Member(member.Name, member.Read)),
        .. LeftOut.Select(member => TypedMembers.LeftOut<MessagesRequest>(member.Name, member.Type)),
        Part("metadata", (request, part) => request.UserId = part.AsObject("an object with user_id").Find("user_id")?.Text()),
        .. Elsewhere.Select(member => TypedMembers.Elsewhere<MessagesRequest>(member.Name, member.Instead)),
        .. Refused.Select(name => new Member(name, Refuse)),
        new("n", RefuseSeveral),
        Member.Whole("max_tokens", RequestLimits.MaxTokens, (request, value) => request.Generate.MaxTokens = value),
        new("stop_sequences", StructuredMembers.ReadStops),
        Part("messages", (request, part) => request.Messages = part),
        Part("system", (request, part) => request.System = part),
        Part("tools", (request, part) => request.Tools = part),
        Part("tool_choice", (request, part) => request.ToolChoice = part),
        Part("thinking", (request, part) => request.Thinking = part),
        Part("output_config", (request, part) => request.OutputConfig = part),
        Part("output_format", (request, part) => request.OutputFormat = part),
    ], request => request.Generate.Extra, Settle);

    private static Member Part(string name, Action<MessagesRequest, JsonPart> set) => new(
        name,
        (ref Utf8JsonReader reader, string field, ReadOnlyMemory<byte> _, MessagesRequest request) => set(request, JsonPart.Read(ref reader, field)));

    // An empty list asks for nothing.
    private static void Refuse(ref Utf8JsonReader reader, string name, ReadOnlyMemory<byte> body, MessagesRequest request)
    {
        var part = JsonPart.Read(ref reader, name);
        if (part.Value is not { ValueKind: JsonValueKind.Array } list || list.GetArrayLength() > 0)
            throw part.NotAllowed("null: this gateway has no such service");
    }

    private static void RefuseSeveral(ref Utf8JsonReader reader, string name, ReadOnlyMemory<byte> body, MessagesRequest request)
    {
        var part = JsonPart.Read(ref reader, name);
        if (!part.Raw.SequenceEqual("1"u8))
            throw part.NotAllowed("1: a message has one answer");
    }

    private static void Settle(MessagesRequest request)
    {
        var messages = request.Messages ?? throw RequestRefusedException.Missing("messages", "an array of at least one message");
        (request.Chat.Messages, var endsWithAnswer) = Conversation.Translate(messages, request.System);
        if (request.Chat.Messages.IsEmpty)
            throw RequestRefusedException.Invalid("messages", "is empty; allowed: an array of at least one message");
        if (endsWithAnswer)
        {
            // The answer continues the last message. Some servers do so by themselves; others are told by these members.
            AddMember(request, "add_generation_prompt", "false"u8);
            AddMember(request, "continue_final_message", "true"u8);
        }

        ToolMembers.Settle(request);
        SettleThinking(request);
        SettleOutput(request);
    }

    private static void SettleThinking(MessagesRequest request)
    {
        const string Allowed = "an object with the type enabled, adaptive or disabled";
        if (request.Thinking is not { } thinking)
            return;
        var type = thinking.AsObject(Allowed).Require("type", "enabled, adaptive, disabled");
        thinking.Find("budget_tokens")?.RequireWhole();
        request.ShowsThinking = type.Text() switch
        {
            "enabled" or "adaptive" => thinking.Find("display")?.Text() != "omitted",
            "disabled" => DisableThinking(request),
            _ => throw type.NotAllowed("enabled, adaptive, disabled"),
        };
    }

    // Read by most templates of models that may think; others ignore it.
    private static bool DisableThinking(MessagesRequest request)
    {
        AddMember(request, "chat_template_kwargs", "{\"enable_thinking\":false}"u8);
        return false;
    }

    private static void SettleOutput(MessagesRequest request)
    {
        var config = request.OutputConfig?.AsObject("an object with effort and format");
        if (config?.Find("effort") is { } effort)
            ReasoningEffort.Add(request.Generate, effort);
        if (config?.Find("format") is not null && request.OutputFormat is not null)
            throw RequestRefusedException.Invalid("output_format", "is the older name of output_config.format, which is there, too; allowed: one of both");
        if ((config?.Find("format") ?? request.OutputFormat) is not { } format)
            return;
        var type = format.AsObject("an object with type and schema").Require("type", "json_schema");
        if (type.Text() != "json_schema")
            throw type.NotAllowed("json_schema");
        var schema = format.Require("schema", "a JSON schema").AsObject("a JSON schema");
        request.Chat.ResponseFormat = UnsafeByteOperations.UnsafeWrap((byte[])[
            .. "{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"answer\",\"strict\":true,\"schema\":"u8, .. schema.Raw, .. "}}"u8]);
    }

    private static void AddMember(MessagesRequest request, string name, ReadOnlySpan<byte> json)
    {
        if (!request.Generate.Extra.Any(member => member.Name == name))
            request.Generate.Extra.Add(new RawMember { Name = name, Json = ByteString.CopyFrom(json) });
    }
}
