using Skein.Protocol.V1;

namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary>
/// Tokens of all choices together: the prompt once, the answers added up. Known only where the engine counted every choice; never worked
/// out from chunks.
/// </summary>
internal struct UsageTotal
{
    private uint _prompt;
    private uint _cached;
    private long _completion;
    private int _counted;
    private int _finished;

    public readonly bool IsKnown => _finished > 0 && _counted == _finished;

    public readonly long PromptTokens => _prompt;

    public readonly long CachedPromptTokens => _cached;

    public readonly long CompletionTokens => _completion;

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
}
