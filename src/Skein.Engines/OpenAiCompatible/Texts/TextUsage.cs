using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.Texts;

/// <summary>What is true of a whole answer in the usage of its continued part.</summary>
internal static class TextUsage
{
    private static readonly string[] Counts = ["prompt_tokens", "completion_tokens", "total_tokens"];

    /// <summary>The members beside the counts as a JSON object, which has those that are null; empty: none.</summary>
    /// <param name="usage">A JSON object.</param>
    /// <param name="hasReasoning">Whether the client has a reasoning, whose tokens the server then took for a part of the prompt.</param>
    public static byte[] OfResumed(JsonElement usage, bool hasReasoning)
    {
        var members = new RequestJson();
        var isAny = false;
        foreach (var member in usage.EnumerateObject().Where(member => !Counts.Contains(member.Name)))
        {
            var isOfReasoning = member.Name is "reasoning_tokens" or "completion_tokens_details";
            // What was cached for a resumed answer is not what was cached for the client's prompt.
            if (member.Value.ValueKind != JsonValueKind.Null && !(isOfReasoning && !hasReasoning))
                continue;

            members.Raw(member.Name, JsonMarshal.GetRawUtf8Value(member.Value));
            isAny = true;
        }

        return isAny ? members.ToBytes().ToArray() : [];
    }
}
