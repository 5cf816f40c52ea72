using System.Buffers;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.Texts;

/// <summary>What one event adds to the answer.</summary>
/// <param name="ToolCalls">Pieces of tool calls, as the server's array has them; null: none.</param>
/// <param name="FunctionCall">A piece of the one call of the older form; null: none.</param>
/// <param name="Raw">Everything else in the delta (reasoning), as a JSON object; empty: nothing.</param>
/// <param name="Choice">Everything beside the delta (token_ids, stop_reason), as a JSON object; empty: nothing.</param>
/// <param name="Logprobs">Log probabilities of its tokens, if requested.</param>
/// <param name="End">Why the answer ended, if it did.</param>
/// <param name="MatchedStop">The stop text that ended it, if the server reports it.</param>
internal readonly record struct TextDelta(
    string Text, JsonElement? ToolCalls, JsonElement? FunctionCall, ReadOnlyMemory<byte> Raw, IReadOnlyList<TokenLogprob> Logprobs, AnswerEnd End,
    string MatchedStop, ReadOnlyMemory<byte> Choice = default)
{
    private static readonly string[] DeltaMembers = ["role", "content", "tool_calls", "function_call"];

    internal static readonly string[] ChoiceMembers = ["index", "delta", "message", "text", "finish_reason", "logprobs"];

    /// <summary>Whether it adds nothing to the answer, beside what <see cref="Choice"/> has.</summary>
    public bool IsEmpty =>
        Text.Length == 0 && ToolCalls is null && FunctionCall is null && Raw.IsEmpty && Logprobs.Count == 0 && Ids is null or { Length: 0 };

    /// <summary>The choices of an event; none if it has no such member.</summary>
    /// <exception cref="FaultException">The event has another shape.</exception>
    public static IEnumerable<JsonElement> ChoicesOf(JsonElement data)
    {
        if (data.ValueKind != JsonValueKind.Object)
            throw new FaultException(Fault.EngineFailed, $"the engine sent an event of type {data.ValueKind}; allowed: an object");
        if (data.Member("choices") is not { } choices)
            return [];
        if (choices.ValueKind != JsonValueKind.Array)
            throw new FaultException(Fault.EngineFailed, $"the engine's choices are {choices.ValueKind}; allowed: an array of objects");
        return choices.EnumerateArray().Select(choice => (choice.Member("delta") ?? choice.Member("message")) is null or { ValueKind: JsonValueKind.Object }
            && choice.ValueKind == JsonValueKind.Object
            ? choice
            : throw new FaultException(Fault.EngineFailed, "the engine sent a choice, or a delta, that is not an object"));
    }

    /// <summary>Ids of its tokens, without the one that ends the answer; null: the server was not asked for them.</summary>
    public uint[]? Ids { get; init; }

    /// <summary>Everything but its text as one JSON object, the pieces of calls included; empty: nothing.</summary>
    public ReadOnlyMemory<byte> RawWithCalls()
    {
        if (ToolCalls is null && FunctionCall is null)
            return Raw;

        var calls = new RequestJson();
        if (ToolCalls is { } pieces)
            calls.Raw("tool_calls", JsonMarshal.GetRawUtf8Value(pieces));

        if (FunctionCall is { } piece)
            calls.Raw("function_call", JsonMarshal.GetRawUtf8Value(piece));

        return RawMembers.Join(Raw, calls.ToBytes());
    }

    public static TextDelta OfChat(JsonElement choice, GenerateRequest request)
    {
        // Some servers send a message in their streams.
        var delta = choice.Member("delta") ?? choice.Member("message") ?? default;
        return new TextDelta(
            ContentOf(delta),
            CallsOf(delta),
            FunctionOf(delta),
            RawMembers.Except(delta, DeltaMembers),
            choice.Member("logprobs") is { } logprobs ? CompletionLogprobsReader.OfTokens(logprobs.Elements("content"), request) : [],
            FinishReasons.Read(choice.Text("finish_reason")),
            StopOf(choice, request),
            RawMembers.Except(choice, ChoiceMembers));
    }

    public static TextDelta OfCompletion(JsonElement choice, GenerateRequest request) => new(
        choice.Text("text") ?? "",
        ToolCalls: null,
        FunctionCall: null,
        Raw: default,
        CompletionLogprobsReader.Of(choice, request, []),
        FinishReasons.Read(choice.Text("finish_reason")),
        StopOf(choice, request),
        RawMembers.Except(choice, ChoiceMembers));

    // A text, or an array of parts with texts.
    private static string ContentOf(JsonElement delta) => delta.Member("content") switch
    {
        null => "",
        { ValueKind: JsonValueKind.String } text => text.GetString()!,
        { ValueKind: JsonValueKind.Array } parts => string.Concat(parts.EnumerateArray().Select(part =>
            part.ValueKind == JsonValueKind.String ? part.GetString()
            : part.Text("text") ?? throw Broken($"a part of type '{part.Text("type")}'"))),
        { } other => throw Broken(other.ValueKind.ToString()),
    };

    /// <summary>The fault of an event without the ids that were asked for.</summary>
    public static FaultException NoIds() => new(Fault.ResumeRefused, "the engine was asked for token ids, and sent a delta without them");

    private static FaultException Broken(string found) =>
        new(Fault.EngineFailed, $"the engine's content is {found}; allowed: a text, or parts with a text");

    // Some servers add an empty list to every delta.
    private static JsonElement? CallsOf(JsonElement delta) =>
        delta.Member("tool_calls") is { } calls && !(calls.ValueKind == JsonValueKind.Array && calls.GetArrayLength() == 0) ? calls : null;

    // Likewise an empty object.
    private static JsonElement? FunctionOf(JsonElement delta) =>
        delta.Member("function_call") is { } call && !(call.ValueKind == JsonValueKind.Object && call.GetPropertyCount() == 0) ? call : null;

    // vLLM: stop_reason, SGLang: matched_stop. An end token is reported as a number.
    private static string StopOf(JsonElement choice, GenerateRequest request)
    {
        var reported = choice.Text("stop_reason") ?? choice.Text("matched_stop") ?? "";
        return request.Stop.Contains(reported) ? reported : "";
    }
}
