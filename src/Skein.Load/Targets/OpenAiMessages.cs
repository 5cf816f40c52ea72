using System.Text.Json;
using System.Text.Json.Serialization;

namespace Skein.Load.Targets;

internal sealed record ChatRequest(
    string Model, IReadOnlyList<OpenAiMessage> Messages, int MaxTokens, float Temperature, ulong Seed, bool Stream, StreamOptions StreamOptions)
{
    // A setter, because the source generator treats an init property as a constructor parameter.
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Extra { get; set; }
}

internal sealed record OpenAiMessage(string Role, string Content);

internal sealed record StreamOptions(bool IncludeUsage);

/// <summary>One event of a streamed answer, or an error; only the members that are measured.</summary>
internal sealed record ChatChunk(IReadOnlyList<ChunkChoice>? Choices, ChunkUsage? Usage, ErrorBody? Error);

internal sealed record ChunkChoice(ChunkDelta? Delta, string? FinishReason);

internal sealed record ChunkDelta(string? Content);

internal sealed record ChunkUsage(int? CompletionTokens);

/// <summary>An error of an OpenAI-compatible server. Some servers use a number as code.</summary>
internal sealed record ErrorBody(string? Message, string? Type, JsonElement? Code)
{
    public string? CodeText => Code is { ValueKind: JsonValueKind.String or JsonValueKind.Number } code ? code.ToString() : Type;
}

internal sealed record OpenAiModelList(IReadOnlyList<ModelEntry>? Data);

internal sealed record ModelEntry(string? Id);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ChatRequest))]
[JsonSerializable(typeof(ChatChunk))]
[JsonSerializable(typeof(OpenAiModelList))]
[JsonSerializable(typeof(OpenAiMessage[]))]
internal sealed partial class OpenAiJson : JsonSerializerContext;
