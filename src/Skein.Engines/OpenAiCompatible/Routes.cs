using Skein.Protocol.V1;

namespace Skein.Engines.OpenAiCompatible;

/// <summary>Which of a server's calls a request goes through, and how well its answer can then be resumed. Pure.</summary>
/// <param name="Kind">Whose server.</param>
/// <param name="GivesIds">Whether it has calls for token ids at all.</param>
/// <param name="UsesChatCall">Whether chats go through its own chat call.</param>
/// <param name="IsBitExact">Whether greedy answers are the same however they were cut.</param>
internal sealed record Routes(OpenAiEngineKind Kind, bool GivesIds, bool UsesChatCall, bool IsBitExact)
{
    public (bool ThroughIds, ResumeTier Tier) Of(GenerateRequest request)
    {
        var throughIds = GivesIds && !IsOfText(request.Resume) && (request.Chat is { } chat ? IsPlain(chat) : true) && FitsSgLang(request);
        return (throughIds, throughIds ? ResumeTiers.OfTokens(Kind, IsBitExact, request) : ResumeTiers.OfText(request));
    }

    // The journal of a server that gives none: what it began goes on as text.
    private static bool IsOfText(Resume? resume) => resume is { NextIndex: > 0, TokenIds.Count: 0 };

    // Tools, schemas and reasoning are parsed by the server's chat call alone, and only it can look at pictures.
    private bool IsPlain(ChatPrompt chat) =>
        Kind != OpenAiEngineKind.SgLang && !UsesChatCall && !ResumeTiers.HasTools(chat) && !ResumeTiers.HasResponseFormat(chat) && ChatShape.Of(chat).IsPlainText;

    // Its own call refuses members it does not know, and tells log probabilities in a form of its own.
    private bool FitsSgLang(GenerateRequest request) => Kind != OpenAiEngineKind.SgLang || (request.Extra.Count == 0 && !request.HasLogprobs);
}
