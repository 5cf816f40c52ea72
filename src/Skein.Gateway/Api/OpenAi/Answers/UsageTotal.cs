using System.Text.Json.Nodes;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary>Tokens of all choices: each prompt counts once, the answers add up. Known only if the engine counted every choice.</summary>
internal struct UsageTotal
{
    private const string CompletionDetails = "completion_tokens_details";

    // By the number of the prompt. Cached is null where the engine does not say.
    private Dictionary<int, (uint Tokens, uint? Cached)>? _prompts;
    private long _completion;
    private int _counted;
    private int _finished;
    private JsonObject? _others;

    public readonly bool IsKnown => _finished > 0 && _counted == _finished;

    /// <exception cref="InvalidDataException">The engine's usage is not an object.</exception>
    public void Add(int prompt, Usage? usage)
    {
        _finished++;
        if (usage is null)
            return;
        _counted++;
        _prompts ??= [];
        var known = _prompts.GetValueOrDefault(prompt);
        _prompts[prompt] = (
            Math.Max(known.Tokens, usage.PromptTokens),
            usage.HasCachedPromptTokens ? Math.Max(known.Cached ?? 0, usage.CachedPromptTokens) : known.Cached);
        _completion += usage.CompletionTokens;
        if (RawDelta.Parse(usage.Raw.Span) is not { } others)
            return;
        others.Remove("prompt_tokens");
        others.Remove("completion_tokens");
        others.Remove("total_tokens");
        if (_others is null)
            _others = others;
        else if (_others[CompletionDetails] is JsonObject details && others[CompletionDetails] is JsonObject more)
            AddNumbers(details, more);
    }

    /// <summary>Writes the value of <c>usage</c>, which must be known.</summary>
    public readonly void Write(scoped ref JsonSink json)
    {
        var prompts = _prompts?.Values.Sum(static prompt => (long)prompt.Tokens) ?? 0;
        json.Raw("{\"prompt_tokens\":"u8);
        json.Number(prompts);
        json.Raw(",\"completion_tokens\":"u8);
        json.Number(_completion);
        json.Raw(",\"total_tokens\":"u8);
        json.Number(prompts + _completion);
        if (_others is not null)
        {
            json.Members(RawDelta.MembersOf(_others));
        }
        else if (_prompts?.Values.Any(static prompt => prompt.Cached is not null) is true)
        {
            json.Raw(",\"prompt_tokens_details\":{\"cached_tokens\":"u8);
            json.Number(_prompts.Values.Sum(static prompt => prompt.Cached ?? 0L));
            json.Raw("}"u8);
        }

        json.Raw("}"u8);
    }

    private static void AddNumbers(JsonObject into, JsonObject more)
    {
        foreach (var (name, value) in more)
        {
            if (into[name] is JsonValue known && known.TryGetValue<long>(out var sum) && value is JsonValue other && other.TryGetValue<long>(out var added))
                into[name] = sum + added;
        }
    }
}
