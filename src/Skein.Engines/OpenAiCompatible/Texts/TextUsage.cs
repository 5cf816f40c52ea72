using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.Texts;

/// <summary>What is true of a whole answer in the usage of its continued part.</summary>
internal static class TextUsage
{
    private static readonly string[] Counts = ["prompt_tokens", "completion_tokens", "total_tokens"];

    private const string PromptDetails = "prompt_tokens_details";
    private const string Cached = "cached_tokens";

    /// <summary>
    /// Tokens of the client's prompt that the server had cached. It counts what was delivered as a part of the prompt, and always reads the last token.
    /// </summary>
    public static int CachedOfPrompt(int cached, int promptTokens) => Math.Clamp(cached, 0, Math.Max(0, promptTokens - 1));

    /// <summary>The members beside the counts as a JSON object, which has those that are null; empty: none.</summary>
    /// <param name="usage">A JSON object.</param>
    /// <param name="promptTokens">Tokens of the client's prompt.</param>
    /// <param name="hasReasoning">Whether the client has a reasoning, whose tokens the server then took for a part of the prompt.</param>
    public static byte[] OfResumed(JsonElement usage, int promptTokens, bool hasReasoning)
    {
        var members = new RequestJson();
        var isAny = false;
        foreach (var member in usage.EnumerateObject().Where(member => !Counts.Contains(member.Name)))
        {
            var isOfReasoning = member.Name is "reasoning_tokens" or "completion_tokens_details";
            if (member.Name == PromptDetails && member.Value.Whole(Cached) is { } cached)
            {
                members.Object(PromptDetails, details => details.Whole(Cached, CachedOfPrompt(cached, promptTokens)));
                isAny = true;
                continue;
            }

            if (member.Value.ValueKind != JsonValueKind.Null && !(isOfReasoning && !hasReasoning))
                continue;

            members.Raw(member.Name, JsonMarshal.GetRawUtf8Value(member.Value));
            isAny = true;
        }

        return isAny ? members.ToBytes().ToArray() : [];
    }
}
