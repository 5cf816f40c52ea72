using System.Buffers;
using System.Text.Json;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Protocol.V1;

namespace Skein.Engines.OpenAiCompatible.Texts;

/// <summary>What one event adds to the answer.</summary>
/// <param name="Text">New text.</param>
/// <param name="ToolCalls">Pieces of tool calls, as the server's array has them; null: none.</param>
/// <param name="FunctionCall">A piece of the one call of the older form; null: none.</param>
/// <param name="Raw">Everything else in the delta (reasoning), as a JSON object; empty: nothing.</param>
/// <param name="Logprobs">Of its tokens, if requested.</param>
/// <param name="End">Why the answer ended; unspecified: it did not.</param>
/// <param name="MatchedStop">The stop text that ended it, if the server reports it.</param>
internal readonly record struct TextDelta(
    string Text, JsonElement? ToolCalls, JsonElement? FunctionCall, ReadOnlyMemory<byte> Raw, IReadOnlyList<TokenLogprob> Logprobs, FinishReason End,
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
            CompletionLogprobsReader.OfChat(choice, request),
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

    // The values verbatim. The role is the same for all answers, and null means absent.
    private static ReadOnlyMemory<byte> RestOf(JsonElement delta)
    {
        if (delta.ValueKind != JsonValueKind.Object)
        {
            return default;
        }

        ArrayBufferWriter<byte>? buffer = null;
        Utf8JsonWriter? writer = null;
        foreach (var member in delta.EnumerateObject())
        {
            if (member.Name is "role" or "content" or "tool_calls" or "function_call" || member.Value.ValueKind == JsonValueKind.Null)
            {
                continue;
            }

            buffer ??= new ArrayBufferWriter<byte>();
            if (writer is null)
            {
                writer = new Utf8JsonWriter(buffer);
                writer.WriteStartObject();
            }

            writer.WritePropertyName(member.Name);
            writer.WriteRawValue(member.Value.GetRawText());
        }

        writer?.WriteEndObject();
        writer?.Dispose();
        return buffer?.WrittenMemory ?? default;
    }

    // vLLM: stop_reason, SGLang: matched_stop. An end token is reported as a number.
    private static string StopOf(JsonElement choice, GenerateRequest request)
    {
        var reported = choice.Text("stop_reason") ?? choice.Text("matched_stop") ?? "";
        return request.Stop.Contains(reported) ? reported : "";
    }
}
