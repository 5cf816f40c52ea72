namespace Skein.Engines.OpenAiCompatible.LlamaCpp;

/// <summary>How llama.cpp counts the probabilities that a client asks for.</summary>
internal static class LlamaCppProbabilities
{
    public const string Member = "n_probs";

    /// <summary>Alternatives of a token in a chat whose client names no number.</summary>
    private const int ChatDefault = 20;

    /// <summary>Whether the client asks for probabilities, by OpenAI's members or by the server's own.</summary>
    public static bool AreAsked(GenerateRequest request) =>
        request.HasLogprobs || request.Extra.Any(member => member.Name is Member or "logprobs" && !ResumeTiers.IsAbsent(member));

    /// <summary>
    /// The server's own number for OpenAI's members; null: the client has none of them, or the server's own member beside them. A written 0 is no
    /// probabilities at all, as in the server's own calls; without a member of the client's JSON it is those of the chosen tokens.
    /// </summary>
    public static long? CountOf(GenerateRequest request) => request switch
    {
        { HasLogprobs: false } => null,
        _ when Has(request, Member) => null,
        { Logprobs: > 0 and var count } => count,
        { Chat: null } => Has(request, "logprobs") ? 0 : 1,
        _ => Has(request, "top_logprobs") ? 0 : ChatDefault,
    };

    private static bool Has(GenerateRequest request, string name) => request.Extra.Any(member => member.Name == name);
}
