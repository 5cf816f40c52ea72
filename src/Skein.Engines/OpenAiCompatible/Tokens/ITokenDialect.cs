using Skein.Engines.OpenAiCompatible.Reasoning;
using Skein.Engines.OpenAiCompatible.Texts;
using Skein.Engines.OpenAiCompatible.Tools;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Engines.Requests;

namespace Skein.Engines.OpenAiCompatible.Tokens;

/// <summary>The calls of a server that takes and returns token ids. Thread-safe.</summary>
internal interface ITokenDialect
{
    /// <summary>Member of a choice in which the server's own calls tell the stop text that ended the answer; null: they do not.</summary>
    string? StopMember => null;

    /// <summary>The server's own name for its configuration, as its other calls have it in their answers. Default (empty): they have none.</summary>
    string SystemFingerprint => "";

    /// <summary>
    /// Whether its calls for ids end where its other calls do if no number of tokens is asked for. Default (false): they have a small limit of their own.
    /// </summary>
    bool KnowsLongest => false;

    /// <summary>Ids of the answer to the <see cref="EngineCanary"/>.</summary>
    /// <exception cref="FaultException">The server returns no ids.</exception>
    ValueTask<uint[]> CanaryAsync(string model, CancellationToken cancellationToken);

    /// <summary>The ids of the prompt: a chat is rendered, a text is tokenized.</summary>
    ValueTask<uint[]> PromptIdsAsync(GenerateRequest request, string model, CancellationToken cancellationToken);

    /// <summary>Text of ids as an answer to the prompt. It may end inside a character; <see cref="GenerateAsync"/> then returns the rest.</summary>
    ValueTask<byte[]> TextOfAsync(TokenCall call, CancellationToken cancellationToken);

    /// <summary>How the model marks its reasoning, if its chat template shows it; null: it does not, or the server renders no chats.</summary>
    ValueTask<ReasoningForm?> ReasoningFormAsync(string model, CancellationToken cancellationToken);

    /// <summary>
    /// What the model writes at the beginning of a tool call, if its chat template shows it; null: it does not, or the server renders no chats.
    /// </summary>
    ValueTask<ToolCallMarks?> ToolCallMarksAsync(string model, CancellationToken cancellationToken) => ValueTask.FromResult<ToolCallMarks?>(null);

    /// <summary>
    /// Whether its chat call streams no log probabilities of tokens that show nothing, such as the marks of a reasoning: then a divided chat has none either,
    /// however it is generated. Default: false.
    /// </summary>
    bool StreamsShownLogprobsOnly => false;

    /// <summary>Whether the client wants a chat that is not divided into reasoning and content. Default: false.</summary>
    bool LeavesReasoning(GenerateRequest request) => false;

    /// <summary>The ids that its chat call tells. Default (null): it tells none.</summary>
    IChatTokens? ChatTokens => null;

    /// <summary>What its chat call has in the usage of an answer beside the counts. Default (null): nothing, or it is not known.</summary>
    /// <param name="form">The model's marks of reasoning; null: they are unknown.</param>
    /// <param name="isDivided">Whether the answer is divided into reasoning and content.</param>
    IAnswerUsage? UsageOf(ReasoningForm? form, bool isDivided) => null;

    /// <summary>The answer so far with the ids that the engine did not tell. By default they cannot be found out.</summary>
    /// <exception cref="FaultException">They cannot be found out.</exception>
    ValueTask<IReadOnlyList<uint>> FillAsync(TokenCall call, CancellationToken cancellationToken) =>
        throw RequestChecks.ResumeRefused($"resume.token_ids has {call.Answer.Count(id => id == UnknownToken.Id)} unknown ids");

    /// <summary>
    /// Prompt tokens that the server has in its cache, for an answer that was delivered whole before its server told them. Default (null): its usage does not
    /// tell them.
    /// </summary>
    ValueTask<int?> CachedTokensAsync(TokenCall call, CancellationToken cancellationToken) => ValueTask.FromResult<int?>(null);

    /// <summary>Generates an answer. The last step has the reason of the end.</summary>
    IAsyncEnumerable<TokenStep> GenerateAsync(TokenCall call, CancellationToken cancellationToken);
}

/// <summary>One answer to generate or to continue.</summary>
/// <param name="Answer">Ids of the answer so far.</param>
/// <param name="MaxTokens">Most tokens of the answer, including those so far; null: the server's limit.</param>
internal sealed record TokenCall(GenerateRequest Request, string Model, IReadOnlyList<uint> Prompt, IReadOnlyList<uint> Answer, int? MaxTokens)
{
    /// <summary>Most tokens still to be generated.</summary>
    public int? Rest => MaxTokens - Answer.Count;

    public IEnumerable<uint> Ids => Prompt.Concat(Answer);
}

/// <summary>What one event of a server adds to the answer.</summary>
/// <param name="Ids">New ids, without the one that ends the answer.</param>
/// <param name="Text">Their bytes.</param>
/// <param name="Logprobs">One per id, or none. In a last step without ids: that of the token that ends the answer.</param>
/// <param name="End">Why the answer ended, if it did.</param>
internal readonly record struct TokenStep(
    IReadOnlyList<uint> Ids, ReadOnlyMemory<byte> Text, IReadOnlyList<TokenLogprob> Logprobs, AnswerEnd End = default)
{
    /// <summary>Whether the server counts a token that ends the answer and is not part of <see cref="Ids"/>.</summary>
    public bool HasEndToken { get; init; }

    /// <summary>Tokens of the prompt that the server had cached; null if it does not say.</summary>
    public int? CachedTokens { get; init; }

    /// <summary>Members beside the counts of the answer's usage, as a JSON object; empty: none.</summary>
    public ReadOnlyMemory<byte> UsageMembers { get; init; }

    /// <summary>Members beside the text for the client, as a JSON object; empty: none.</summary>
    public ReadOnlyMemory<byte> Choice { get; init; }

    /// <summary>Members beside the choices for the client, as a JSON object; empty: none.</summary>
    public ReadOnlyMemory<byte> Chunk { get; init; }

    /// <summary>Those that the last chunk has if a stop text ends the answer here, where the server would go on; empty: none.</summary>
    public ReadOnlyMemory<byte> ChunkOfStop { get; init; }

    /// <summary>The server sent something, but no token.</summary>
    public static TokenStep Alive { get; } = new([], default, []);
}
