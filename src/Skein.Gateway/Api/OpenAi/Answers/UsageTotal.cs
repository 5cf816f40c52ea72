using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary>Tokens of all choices: the prompt counts once, the answers add up. Known only if the engine counted every choice.</summary>
internal struct UsageTotal
{
    private uint _prompt;
    private uint _cached;
    private long _completion;
    private int _counted;
    private int _finished;

    public readonly bool IsKnown => _finished > 0 && _counted == _finished;

    public void Add(Usage? usage)
    {
        _finished++;
        if (usage is null)
            return;
        _counted++;
        _prompt = Math.Max(_prompt, usage.PromptTokens);
        _cached = Math.Max(_cached, usage.CachedPromptTokens);
        _completion += usage.CompletionTokens;
    }

    /// <summary>Writes the value of <c>usage</c>; null if it is not known.</summary>
    public readonly void Write(scoped ref JsonSink json)
    {
        if (!IsKnown)
        {
            json.Raw("null"u8);
            return;
        }

        json.Raw("{\"prompt_tokens\":"u8);
        json.Number(_prompt);
        json.Raw(",\"completion_tokens\":"u8);
        json.Number(_completion);
        json.Raw(",\"total_tokens\":"u8);
        json.Number(_prompt + _completion);
        json.Raw(",\"prompt_tokens_details\":{\"cached_tokens\":"u8);
        json.Number(_cached);
        json.Raw("}}"u8);
    }
}
