using System.Buffers;
using System.Runtime.InteropServices;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.Texts;

/// <summary>What one event adds to the answer.</summary>
/// <param name="Text">New text.</param>
/// <param name="ToolCalls">Pieces of tool calls, as the server's array has them; null: none.</param>
/// <param name="FunctionCall">A piece of the one call of the older form; null: none.</param>
/// <param name="Raw">Everything else in the delta (reasoning), as a JSON object; empty: nothing.</param>
/// <param name="Logprobs">Log probabilities of its tokens, if requested.</param>
/// <param name="End">Why the answer ended, if it did.</param>
/// <param name="MatchedStop">The stop text that ended it, if the server reports it.</param>
internal readonly record struct TextDelta(
    string Text, JsonElement? ToolCalls, JsonElement? FunctionCall, ReadOnlyMemory<byte> Raw, IReadOnlyList<TokenLogprob> Logprobs, AnswerEnd End,
    string MatchedStop)
{
    public bool IsEmpty => Text.Length == 0 && ToolCalls is null && FunctionCall is null && Raw.IsEmpty && Logprobs.Count == 0;

    public static TextDelta OfChat(JsonElement choice, GenerateRequest request)
    {
        var delta = choice.Member("delta") ?? default;
        return new TextDelta(
            delta.Text("content") ?? "",
            CallsOf(delta),
            FunctionOf(delta),
            RestOf(delta),
            CompletionLogprobsReader.OfTokens((choice.Member("logprobs") ?? default).Elements("content"), request),
            FinishReasons.Read(choice.Text("finish_reason")),
            StopOf(choice, request));
    }

    public static TextDelta OfCompletion(JsonElement choice, GenerateRequest request) => new(
        choice.Text("text") ?? "",
        ToolCalls: null,
        FunctionCall: null,
        Raw: default,
        CompletionLogprobsReader.Of(choice, request, []),
        FinishReasons.Read(choice.Text("finish_reason")),
        StopOf(choice, request));

    // Some servers add an empty list to every delta.
    private static JsonElement? CallsOf(JsonElement delta) =>
        delta.Member("tool_calls") is { } calls && !(calls.ValueKind == JsonValueKind.Array && calls.GetArrayLength() == 0) ? calls : null;

    // Likewise an empty object.
    private static JsonElement? FunctionOf(JsonElement delta) =>
        delta.Member("function_call") is { } call && !(call.ValueKind == JsonValueKind.Object && call.GetPropertyCount() == 0) ? call : null;

    // Verbatim. The role is the same for all answers, and null means absent.
    private static ReadOnlyMemory<byte> RestOf(JsonElement delta)
    {
        if (delta.ValueKind != JsonValueKind.Object)
            return default;

        ArrayBufferWriter<byte>? rest = null;
        foreach (var member in delta.EnumerateObject())
        {
            if (member is not { Name: "role" or "content" or "tool_calls" or "function_call" } and not { Value.ValueKind: JsonValueKind.Null })
            {
                rest ??= new ArrayBufferWriter<byte>();
                rest.Write(rest.WrittenCount == 0 ? "{\""u8 : ",\""u8);
                rest.Write(JsonMarshal.GetRawUtf8PropertyName(member));
                rest.Write("\":"u8);
                rest.Write(JsonMarshal.GetRawUtf8Value(member.Value));
            }
        }

        rest?.Write("}"u8);
        return rest?.WrittenMemory ?? default;
    }

    // vLLM: stop_reason, SGLang: matched_stop. An end token is reported as a number.
    private static string StopOf(JsonElement choice, GenerateRequest request)
    {
        var reported = choice.Text("stop_reason") ?? choice.Text("matched_stop") ?? "";
        return request.Stop.Contains(reported) ? reported : "";
    }
}
