using Skein.Protocol.V1;

namespace Skein.Engines.OpenAiCompatible.Tokens;

/// <summary>The calls of a server that takes and gives token ids. Thread-safe.</summary>
internal interface ITokenDialect
{
    /// <summary>The prompt's ids: chat rendered, text tokenized.</summary>
    ValueTask<uint[]> PromptIdsAsync(GenerateRequest request, string model, CancellationToken cancellationToken);

    /// <summary>Text of ids as an answer to the prompt; may end inside a character, of which <see cref="GenerateAsync"/> then gives the rest.</summary>
    ValueTask<byte[]> TextOfAsync(TokenCall call, CancellationToken cancellationToken);

    /// <summary>Generates until the last step, which carries an end.</summary>
    IAsyncEnumerable<TokenStep> GenerateAsync(TokenCall call, CancellationToken cancellationToken);
}

/// <summary>One answer to be made, or to be gone on with.</summary>
/// <param name="Request">How.</param>
/// <param name="Model">As the server names it.</param>
/// <param name="Prompt">Ids of the prompt.</param>
/// <param name="Answer">Ids of the answer so far.</param>
/// <param name="MaxTokens">Most tokens of the answer, those so far included; null: the server's limit.</param>
internal sealed record TokenCall(GenerateRequest Request, string Model, IReadOnlyList<uint> Prompt, IReadOnlyList<uint> Answer, int? MaxTokens)
{
    /// <summary>Most tokens still to be generated.</summary>
    public int? Rest => MaxTokens - Answer.Count;

    /// <summary>All ids so far.</summary>
    public IEnumerable<uint> Ids => Prompt.Concat(Answer);
}

/// <summary>What a server gave at once.</summary>
/// <param name="Ids">New ids; the one that ends an answer is not among them.</param>
/// <param name="Text">Their bytes.</param>
/// <param name="Logprobs">One per id, or none.</param>
/// <param name="End">Why the answer ended; unspecified where it did not.</param>
internal readonly record struct TokenStep(
    IReadOnlyList<uint> Ids, ReadOnlyMemory<byte> Text, IReadOnlyList<TokenLogprob> Logprobs, FinishReason End = FinishReason.Unspecified)
{
    public static TokenStep Last(FinishReason reason) => new([], default, [], reason);
}
