using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary>The value of <c>usage</c>.</summary>
internal static class UsageJson
{
    public static void Write(scoped ref JsonSink json, UsageTotal usage)
    {
        if (!usage.IsKnown)
        {
            json.Raw("null"u8);
            return;
        }

        json.Raw("{\"prompt_tokens\":"u8);
        json.Number(usage.PromptTokens);
        json.Raw(",\"completion_tokens\":"u8);
        json.Number(usage.CompletionTokens);
        json.Raw(",\"total_tokens\":"u8);
        json.Number(usage.PromptTokens + usage.CompletionTokens);
        json.Raw(",\"prompt_tokens_details\":{\"cached_tokens\":"u8);
        json.Number(usage.CachedPromptTokens);
        json.Raw("}}"u8);
    }
}
