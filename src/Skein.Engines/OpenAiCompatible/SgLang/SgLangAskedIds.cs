using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.SgLang;

/// <summary>
/// The ids that a client of a chat asked for. SGLang's chat call gives them in whole answers only, and refuses streams with them. Not safe for concurrent use.
/// </summary>
internal sealed class SgLangAskedIds(GenerateRequest request, IReadOnlyList<uint> prompt, IReadOnlyList<uint> answer)
{
    /// <summary>Members that ask for them.</summary>
    public static IReadOnlyList<string> Members { get; } = ["return_token_ids", "return_prompt_token_ids"];

    private readonly List<uint> _answer = [.. answer];

    public void Add(IReadOnlyList<uint> ids) => _answer.AddRange(ids);

    /// <summary>The members of the choice, at its end; empty: nothing was asked.</summary>
    public ReadOnlyMemory<byte> ToMembers()
    {
        var (isAsked, isPromptAsked) = (Asks(Members[0]), Asks(Members[1]));
        if (request.Chat is null || (!isAsked && !isPromptAsked))
            return default;

        var members = new RequestJson();
        members = isPromptAsked ? members.Ids("prompt_token_ids", prompt) : members;
        return (isAsked ? members.Ids("response_token_ids", _answer) : members).ToBytes();
    }

    private bool Asks(string name) => request.Extra.Any(member => member.Name == name && member.Json.Span.SequenceEqual("true"u8));
}
