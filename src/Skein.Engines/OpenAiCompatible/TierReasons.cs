namespace Skein.Engines.OpenAiCompatible;

/// <summary>Says for a request why a lost answer is not continued exactly. Pure.</summary>
internal static class TierReasons
{
    /// <summary>One line; empty if the tier is exact.</summary>
    /// <exception cref="FaultException">The chat cannot be read.</exception>
    public static string WhyNotExact(this ResumeTiers tiers, GenerateRequest request) => tiers.Of(request).Tier switch
    {
        ResumeTier.Exact => "",
        ResumeTier.None when tiers.RepeatsExactly(request) => "",
        ResumeTier.Tokens => WhyTokens(tiers, request),
        ResumeTier.Text => WhyText(tiers, request),
        _ => WhyNone(tiers, request),
    };

    private static string WhyTokens(ResumeTiers tiers, GenerateRequest request) =>
        !ResumeTiers.IsGreedy(request.Sampling) ? "the server's random numbers begin anew when it continues"
        : !tiers.IsBitExact ? "the server is not declared bit-exact (--bit-exact)"
        : "a continuation of its proof differed from the undisturbed answer";

    private static string WhyText(ResumeTiers tiers, GenerateRequest request)
    {
        var ids = request.Chat is null ? tiers.Proofs.Ids : tiers.Proofs.ChatIds;
        return !ids.IsProven ? $"it is continued by text: {ids.Reason}"
            : request.Chat is not null && tiers.UsesChatCall ? "it is continued by text: chats go through the chat call (--engine-chat-call)"
            : "it is continued by text: a member of the request is not known to leave the tokens as they are, or the calls for token ids do not take it";
    }

    private static string WhyNone(ResumeTiers tiers, GenerateRequest request)
    {
        var isChat = request.Chat is not null;
        var continued = isChat ? tiers.Proofs.Chat : tiers.Proofs.Completion;
        return isChat && ChatJson.RequiresFormat(request.Chat!.ResponseFormat) ? "a format begins anew when an answer is continued by ids"
            : isChat && ChatJson.OffersTools(request.Chat!) ? WhyToolsNone(tiers, request.Chat!)
            : continued.Reason.Length > 0 ? continued.Reason
            : "it has no middle in which it can be cut, or is bound to a grammar";
    }

    private static string WhyToolsNone(ResumeTiers tiers, ChatPrompt chat) =>
        ChatJson.RequiresTool(chat.ToolChoice) ? "a required call is bound to a grammar from its first token"
        : !tiers.Proofs.Tools.IsProven ? $"text before a call is not continued: {tiers.Proofs.Tools.Reason}"
        : "a sampled call cannot be made again";
}
