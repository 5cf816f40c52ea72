namespace Skein.Engines.OpenAiCompatible.Tokens;

/// <summary>
/// What a server's chat call has in the usage of one answer beside the counts, where the answer comes from calls for ids. Not safe for concurrent use.
/// </summary>
internal interface IAnswerUsage
{
    /// <summary>The members as a JSON object; empty: none, or unknown.</summary>
    ReadOnlyMemory<byte> Members { get; }

    /// <summary>Adds tokens of the answer, in their order.</summary>
    void Add(IReadOnlyList<uint> ids);

    /// <summary>Adds the token that ended the answer.</summary>
    void AddEnd();
}
