using Member = Skein.Gateway.Api.Http.JsonMember<Skein.Gateway.Api.OpenAi.Responses.Requests.ResponsesRequest>;
using Google.Protobuf;
using Skein.Gateway.Api.Chats;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Api.OpenAi.Requests;

namespace Skein.Gateway.Api.OpenAi.Responses.Requests;

/// <summary>The members of <c>POST /v1/responses</c>. Unknown ones go to the engine byte for byte.</summary>
internal static class ResponsesMembers
{
    private const string Logprobs = "message.output_text.logprobs";
    private const string NothingIsKept = "null: no gateway keeps responses; send the whole conversation as input, which every gateway answers";

    /// <summary>Members of chats that mean the same here.</summary>
    private static readonly string[] Shared =
    [
        "model", "temperature", "top_p", "top_k", "min_p", "seed", "presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias", "stop",
        "stream",
    ];

    /// <summary>Members without which the answer stays right: hints for OpenAI's storage, accounts and caches.</summary>
    private static readonly (string Name, JsonType Type)[] LeftOut =
    [
        ("client_metadata", JsonType.Object), ("truncation", JsonType.Text), ("service_tier", JsonType.Text), ("stream_options", JsonType.Object),
        ("max_tool_calls", JsonType.Whole), ("safety_identifier", JsonType.Text), ("prompt_cache_retention", JsonType.Text),
        ("prompt_cache_options", JsonType.Object), ("context_management", JsonType.ObjectOrArray), ("moderation", JsonType.TextOrObject),
    ];

    /// <summary>Members of chats that ask here by another name.</summary>
    private static readonly (string Name, string Instead)[] Elsewhere =
    [
        ("messages", "input"), ("max_tokens", "max_output_tokens"), ("max_completion_tokens", "max_output_tokens"), ("response_format", "text.format"),
        ("reasoning_effort", "reasoning.effort"), ("verbosity", "text.verbosity"), ("logprobs", "top_logprobs"), ("functions", "tools"),
        ("function_call", "tool_choice"),
    ];

    /// <summary>What <c>include</c> may ask for. Only log probabilities exist here; the rest, such as encrypted reasoning, is left out.</summary>
    private static readonly string[] Includable =
    [
        Logprobs, "reasoning.encrypted_content", "file_search_call.results", "web_search_call.results", "web_search_call.action.sources",
        "message.input_image.image_url", "computer_call_output.output.image_url", "code_interpreter_call.outputs",
    ];

    private static readonly JsonMembers<ResponsesRequest> All = new(
    [
        .. RequestMembers.Shared.Where(member => Shared.Contains(member.Name)).Select(member => new Member(member.Name, member.Read)),
        .. LeftOut.Select(member => TypedMembers.LeftOut<ResponsesRequest>(member.Name, member.Type)),
        .. Elsewhere.Select(member => TypedMembers.Elsewhere<ResponsesRequest>(member.Name, member.Instead)),
        TypedMembers.Kept<ResponsesRequest>("user", JsonType.Text),
        TypedMembers.Kept<ResponsesRequest>("prompt_cache_key", JsonType.Text),
        Refused("previous_response_id", NothingIsKept),
        Refused("conversation", NothingIsKept),
        Refused("prompt", "null: this gateway keeps no prompts; send their text as instructions and input"),
        new("background", RefuseBackground),
        new("n", RefuseSeveral),
        Member.Whole("max_output_tokens", RequestLimits.MaxTokens, (request, value) => request.Generate.MaxTokens = value),
        Member.Whole("top_logprobs", RequestLimits.TopLogprobs, (request, value) => request.TopLogprobs = value),
        Member.Flag("store", (request, value) => request.Store = value),
        new("include", ReadInclude),
        Part("input", (request, part) => request.Input = part),
        Part("instructions", (request, part) => request.Instructions = part),
        Part("tools", (request, part) => request.Tools = part),
        Part("tool_choice", (request, part) => request.ToolChoice = part),
        Part("parallel_tool_calls", (request, part) => request.ParallelToolCalls = part),
        Part("text", (request, part) => request.Text = part),
        Part("reasoning", (request, part) => request.Reasoning = part),
        Part("metadata", (request, part) => request.Metadata = OfTexts(part)),
    ], request => request.Generate.Extra, static _ => { });

    /// <summary>Reads a body.</summary>
    /// <param name="kept">The items to which it may refer.</param>
    /// <exception cref="RequestRefusedException">The body is not a valid request.</exception>
    public static ResponsesRequest Read(ReadOnlyMemory<byte> body, KeptItems kept)
    {
        var request = All.Read(body);
        Settle(request, kept);
        return request;
    }

    private static Member Part(string name, Action<ResponsesRequest, JsonPart> set) => new(
        name,
        (ref Utf8JsonReader reader, string field, ReadOnlyMemory<byte> _, ResponsesRequest request) => set(request, JsonPart.Read(ref reader, field)));

    private static JsonPart OfTexts(JsonPart part)
    {
        foreach (var member in part.AsObject("an object of strings").Members())
            member.RawText();
        return part;
    }

    private static Member Refused(string name, string allowed) => new(
        name,
        (ref Utf8JsonReader reader, string field, ReadOnlyMemory<byte> _, ResponsesRequest _) => throw JsonPart.Read(ref reader, field).NotAllowed(allowed));

    private static void RefuseBackground(ref Utf8JsonReader reader, string name, ReadOnlyMemory<byte> body, ResponsesRequest request)
    {
        var part = JsonPart.Read(ref reader, name);
        if (part.Flag())
            throw part.NotAllowed("false: this gateway keeps no responses to ask for later");
    }

    private static void RefuseSeveral(ref Utf8JsonReader reader, string name, ReadOnlyMemory<byte> body, ResponsesRequest request)
    {
        var part = JsonPart.Read(ref reader, name);
        if (!part.Raw.SequenceEqual("1"u8))
            throw part.NotAllowed("1: a response has one answer");
    }

    private static void ReadInclude(ref Utf8JsonReader reader, string name, ReadOnlyMemory<byte> body, ResponsesRequest request)
    {
        foreach (var item in JsonPart.Read(ref reader, name).Elements("an array of strings"))
        {
            var text = item.Text();
            if (!Includable.Contains(text))
                throw item.NotAllowed(string.Join(", ", Includable));
            request.IncludesLogprobs |= text == Logprobs;
        }
    }

    private static void Settle(ResponsesRequest request, KeptItems kept)
    {
        var input = request.Input ?? throw RequestRefusedException.Missing("input", "a string, or an array of items");
        var turns = new ChatTurns();
        if (request.Instructions is { } instructions)
            turns.AddInstructions(instructions.RawText());
        var choice = request.ToolChoice is { } given ? ToolChoice.Read(given) : ToolChoice.Auto;
        if (request.Tools is { } tools)
            request.Catalog.Add(tools, choice.Allows);
        new InputItems(turns, request.Catalog, choice, kept).Add(input);
        request.Chat.Messages = turns.ToMessages();
        if (request.Chat.Messages.IsEmpty)
            throw RequestRefusedException.Invalid("input", "has no message; allowed: a string, or an array with at least one message");
        request.Chat.Tools = request.Catalog.ToJson();
        request.Chat.ToolChoice = choice.ToJson(request.Catalog);
        if (request.ParallelToolCalls?.Flag() is { } isParallel && !request.Catalog.IsEmpty)
            request.Generate.Extra.Add(new RawMember { Name = "parallel_tool_calls", Json = ByteString.CopyFromUtf8(isParallel ? "true" : "false") });
        var reasoning = request.Reasoning?.AsObject("an object with effort and summary");
        reasoning?.Find("summary")?.Text();
        reasoning?.Find("generate_summary")?.Text(); // the older name of summary
        if (reasoning?.Find("effort") is { } effort)
            ReasoningEffort.Add(request.Generate, effort);
        SettleFormat(request);
        if (request.IncludesLogprobs || request.TopLogprobs > 0)
            request.Generate.Logprobs = request.TopLogprobs ?? 0;
    }

    private static void SettleFormat(ResponsesRequest request)
    {
        var text = request.Text?.AsObject("an object with a format");
        if (text?.Find("verbosity") is { } verbosity)
            request.Generate.Extra.Add(new RawMember { Name = "verbosity", Json = ByteString.CopyFromUtf8($"\"{JsonEncodedText.Encode(verbosity.Text())}\"") });
        if (text?.Find("format") is not { } format)
            return;
        var type = format.AsObject("an object with a type").Require("type", "text, json_object, json_schema");
        request.Chat.ResponseFormat = type.Text() switch
        {
            "text" => ByteString.Empty,
            "json_object" => ByteString.CopyFromUtf8("""{"type":"json_object"}"""),
            "json_schema" => Schema(format),
            _ => throw type.NotAllowed("text, json_object, json_schema"),
        };
    }

    private static ByteString Schema(JsonPart format)
    {
        var name = format.Require("name", "a string").RawText();
        var description = format.Find("description") is { } given ? (byte[])[.. ",\"description\":"u8, .. given.RawText()] : [];
        var schema = format.Require("schema", "a JSON schema").AsObject("a JSON schema").Raw;
        var strict = format.Find("strict")?.Flag() ?? false ? ",\"strict\":true"u8 : default;
        return UnsafeByteOperations.UnsafeWrap((byte[])[
            .. "{\"type\":\"json_schema\",\"json_schema\":{\"name\":"u8, .. name, .. description, .. strict, .. ",\"schema\":"u8, .. schema, .. "}}"u8]);
    }
}
