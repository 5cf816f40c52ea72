namespace Skein.Engines.OpenAiCompatible;

/// <summary>Chooses the calls for a request, and how well its answer can then be resumed: the table of docs/reference/engines.md as code. Immutable.</summary>
/// <param name="HasTokens">Whether it has calls for token ids.</param>
/// <param name="UsesChatCall">Whether chats go through its own chat call.</param>
/// <param name="IsBitExact">Whether greedy answers do not depend on where they were interrupted.</param>
internal sealed record ResumeTiers(ServerProfile Profile, bool HasTokens, bool UsesChatCall, bool IsBitExact)
{
    /// <summary>Members that do not affect the tokens: names, counts and timing of a request.</summary>
    private static readonly HashSet<string> NeutralMembers = new(StringComparer.Ordinal)
    {
        "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "cache_prompt", "timings_per_token", "priority",
        "parallel_tool_calls", "return_token_ids",
        // A limit that is none, and a bias that is the same for every token.
        "max_tokens", "max_completion_tokens", "logit_bias",
    };

    /// <summary>Members that restrict the answer to a grammar, whose state is lost with the engine.</summary>
    private static readonly HashSet<string> GrammarMembers = new(StringComparer.Ordinal)
    {
        "grammar", "json_schema", "response_format", "structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "regex",
        "ebnf", "structural_tag", "tools", "functions",
    };

    /// <summary>Whether the answer does not depend on randomness.</summary>
    public static bool IsGreedy(Sampling? sampling) => sampling is { HasTemperature: true, Temperature: 0 } or { HasTopK: true, TopK: 1 };

    /// <summary>Whether servers read the member as if it were absent: null, or an empty list.</summary>
    public static bool IsAbsent(RawMember member)
    {
        var json = member.Json.Span.Trim(" \t\r\n"u8);
        return json.SequenceEqual("null"u8) || json.SequenceEqual("[]"u8);
    }

    /// <summary>The calls to use, and the tier.</summary>
    /// <exception cref="FaultException">The chat cannot be read.</exception>
    public (bool ThroughIds, ResumeTier Tier) Of(GenerateRequest request)
    {
        try
        {
            var messages = request.Chat is { } prompt ? ChatJson.Read(prompt.Messages) : null;
            var offersTools = request.Chat is { } chat && ChatJson.OffersTools(chat);
            var requiresFormat = request.Chat is { } formatted && ChatJson.RequiresFormat(formatted.ResponseFormat);
            // One event has all of it: there is nothing to continue.
            if (Profile.NeedsWholeAnswer(request))
                return (false, ResumeTier.None);

            // Only the server's chat call parses tools, formats and reasoning, and only it reads images.
            var needsChatCall = messages is not null
                && (!Profile.RendersChats || UsesChatCall || offersTools || requiresFormat || messages.Any(message => message.OtherPart is not null));
            // A journal without ids comes from a server that returns none. Its answer is resumed by text.
            var isResumedByText = request.Resume is { NextIndex: > 0, TokenIds.Count: 0 };
            var throughIds = HasTokens && !isResumedByText && !needsChatCall && !IsEdgeCase(request) && Profile.TakesTokens(request);
            var hasGrammar = requiresFormat || request.Extra.Any(member => GrammarMembers.Contains(member.Name) && !IsAbsent(member));
            // Without ids, neither a tool call nor an answer that the client began can be continued.
            var isBound = hasGrammar || (!throughIds && (offersTools || messages is [.., { Role: "assistant" }]));
            return (throughIds, isBound ? ResumeTier.None : throughIds ? OfTokens(request) : ResumeTier.Text);
        }
        catch (ChatJsonException exception)
        {
            throw new FaultException(Fault.InvalidRequest, exception.Message, exception);
        }
    }

    // Servers differ in what they answer to these, and their calls for ids are no measure of it.
    private static bool IsEdgeCase(GenerateRequest request) =>
        request is { HasMaxTokens: true, MaxTokens: 0 } or { PromptCase: GenerateRequest.PromptOneofCase.Text, Text: "" };

    private ResumeTier OfTokens(GenerateRequest request)
    {
        var isPlain = request.Extra.All(member => NeutralMembers.Contains(member.Name) || IsAbsent(member))
            && (Profile.PenalizesPrompt || !HasPenalty(request.Sampling));
        return !isPlain ? ResumeTier.Text : IsBitExact && IsGreedy(request.Sampling) ? ResumeTier.Exact : ResumeTier.Tokens;
    }

    private static bool HasPenalty(Sampling? sampling) =>
        sampling is not null
        && (sampling.PresencePenalty != 0 || sampling.FrequencyPenalty != 0 || sampling is { HasRepetitionPenalty: true, RepetitionPenalty: not 1 });
}
