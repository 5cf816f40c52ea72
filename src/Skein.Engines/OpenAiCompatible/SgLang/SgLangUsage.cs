using Skein.Engines.OpenAiCompatible.Tokens;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.SgLang;

/// <summary>SGLang's count of a reasoning: all tokens up to the closing mark, the mark too. Not safe for concurrent use.</summary>
/// <param name="closeId">The token of the mark.</param>
internal sealed class SgLangUsage(uint closeId) : IAnswerUsage
{
    /// <summary>Name of the count.</summary>
    public const string ReasoningTokens = "reasoning_tokens";

    private int _count;
    private bool _isClosed;

    public ReadOnlyMemory<byte> Members => Write(_count);

    /// <summary>The members for a number of tokens.</summary>
    public static ReadOnlyMemory<byte> Write(int count)
    {
        var members = new RequestJson().Whole(ReasoningTokens, count);
        return (count > 0
            ? members.Object("completion_tokens_details", details => details.Whole(ReasoningTokens, count))
            : members.Raw("completion_tokens_details", "null"u8)).ToBytes();
    }

    public void Add(IReadOnlyList<uint> ids)
    {
        for (var i = 0; i < ids.Count && !_isClosed; i++)
        {
            _count++;
            _isClosed = ids[i] == closeId;
        }
    }

    public void AddEnd() => _count += _isClosed ? 0 : 1;
}
