using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.OpenAi.Requests;

/// <summary>
/// Documented members that Skein does not read. Engines ignore some of them whatever their value is: a value of the wrong type is refused here, so that a
/// client learns of its mistake.
/// </summary>
internal static class TypedMembers
{
    private static readonly (string Name, JsonType Type)[] OfAll =
    [
        ("user", JsonType.Text), ("service_tier", JsonType.Text), ("prompt_cache_key", JsonType.Text), ("safety_identifier", JsonType.Text),
    ];

    private static readonly (string Name, JsonType Type)[] OfChats =
    [
        ("parallel_tool_calls", JsonType.Flag), ("store", JsonType.Flag), ("metadata", JsonType.Object), ("reasoning_effort", JsonType.Text),
        ("verbosity", JsonType.Text), ("modalities", JsonType.Array), ("audio", JsonType.Object), ("prediction", JsonType.Object),
        ("web_search_options", JsonType.Object), ("functions", JsonType.Array), ("function_call", JsonType.TextOrObject),
        ("prompt_cache_retention", JsonType.Text),
    ];

    private static readonly (string Name, JsonType Type)[] OfCompletions = [("suffix", JsonType.Text), ("best_of", JsonType.Whole)];

    public static IEnumerable<JsonMember<OpenAiRequest>> Chat => OfAll.Concat(OfChats).Select(member => Kept<OpenAiRequest>(member.Name, member.Type));

    public static IEnumerable<JsonMember<OpenAiRequest>> Completion =>
        OfAll.Concat(OfCompletions).Select(member => Kept<OpenAiRequest>(member.Name, member.Type));

    /// <summary>A member that goes to the engine byte for byte.</summary>
    public static JsonMember<TRequest> Kept<TRequest>(string name, JsonType type)
        where TRequest : OpenAiRequest => new(
        name,
        (ref Utf8JsonReader reader, string field, ReadOnlyMemory<byte> body, TRequest request) =>
        {
            type.Check(ref reader, field);
            JsonField.Keep(ref reader, field, body, request.Generate.Extra);
        });

    /// <summary>
    /// A member of chats that this API has under another name. An engine would get it beside the translated one, and only one of both counts: the client
    /// must not believe that it was obeyed.
    /// </summary>
    /// <param name="instead">The member of this API, or why there is none.</param>
    public static JsonMember<TRequest> Elsewhere<TRequest>(string name, string instead)
        where TRequest : OpenAiRequest => new(
        name,
        (ref Utf8JsonReader reader, string field, ReadOnlyMemory<byte> _, TRequest _) => throw RequestRefusedException.OfOtherApi(field, instead));

    /// <summary>A member without which the answer stays right: the engine does not get it.</summary>
    public static JsonMember<TRequest> LeftOut<TRequest>(string name, JsonType type)
        where TRequest : OpenAiRequest => new(
        name,
        (ref Utf8JsonReader reader, string field, ReadOnlyMemory<byte> _, TRequest _) =>
        {
            type.Check(ref reader, field);
            reader.Skip();
        });
}
