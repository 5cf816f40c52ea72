using System.Text.Json.Nodes;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary>Tokens of all choices: the prompt counts once, the answers add up. Known only if the engine counted every choice.</summary>
internal struct UsageTotal
{
    private const string CompletionDetails = "completion_tokens_details";

    private uint _prompt;
    private uint? _cached;
    private long _completion;
    private int _counted;
    private int _finished;
    private JsonObject? _others;

    public readonly bool IsKnown => _finished > 0 && _counted == _finished;

    /// <exception cref="InvalidDataException">The engine's usage is not an object.</exception>
    public void Add(Usage? usage)
    {
        _finished++;
        if (usage is null)
            return;
        _counted++;
        _prompt = Math.Max(_prompt, usage.PromptTokens);
        _cached = usage.HasCachedPromptTokens ? Math.Max(_cached ?? 0, usage.CachedPromptTokens) : _cached;
        _completion += usage.CompletionTokens;
        if (RawDelta.Parse(usage.Raw.Span) is not { } others)
            return;
        others.Remove("prompt_tokens");
        others.Remove("completion_tokens");
        others.Remove("total_tokens");
        if (_others is null)
            _others = others;
        else if (_others[CompletionDetails] is JsonObject known && others[CompletionDetails] is JsonObject more)
            AddNumbers(known, more);
    }

    /// <summary>Writes the value of <c>usage</c>, which must be known.</summary>
    public readonly void Write(scoped ref JsonSink json)
    {
        json.Raw("{\"prompt_tokens\":"u8);
        json.Number(_prompt);
        json.Raw(",\"completion_tokens\":"u8);
        json.Number(_completion);
        json.Raw(",\"total_tokens\":"u8);
        json.Number(_prompt + _completion);
        if (_others is not null)
        {
            json.Members(RawDelta.MembersOf(_others));
        }
        else if (_cached is { } cached)
        {
            json.Raw(",\"prompt_tokens_details\":{\"cached_tokens\":"u8);
            json.Number(cached);
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
