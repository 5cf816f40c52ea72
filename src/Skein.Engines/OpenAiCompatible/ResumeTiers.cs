using Skein.Engines.OpenAiCompatible.Wire;
using System.Text.Json;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.OpenAiCompatible;

/// <summary>
/// Chooses the calls for a request, and how well its answer can then be resumed: the table of docs/reference/engines.md as code. Immutable.
/// </summary>
/// <param name="Profile">The server.</param>
/// <param name="HasTokens">Whether it has calls for token ids.</param>
/// <param name="UsesChatCall">Whether chats go through its own chat call.</param>
/// <param name="IsBitExact">Whether greedy answers do not depend on where they were interrupted.</param>
internal sealed record ResumeTiers(ServerProfile Profile, bool HasTokens, bool UsesChatCall, bool IsBitExact)
{
    /// <summary>Members that name, count or time a request: the tokens do not depend on them.</summary>
    private static readonly HashSet<string> NeutralMembers = new(StringComparer.Ordinal)
    {
        "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "cache_prompt", "timings_per_token", "priority",
        "parallel_tool_calls",
    };

    /// <summary>Members that bind the answer to a grammar, whose state is lost with the engine.</summary>
    private static readonly HashSet<string> GrammarMembers = new(StringComparer.Ordinal)
    {
        "grammar", "json_schema", "response_format", "structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "regex",
        "ebnf", "structural_tag", "tools", "functions",
    };

    /// <summary>Whether nothing is drawn at random.</summary>
    public static bool IsGreedy(Sampling? sampling) => sampling is { HasTemperature: true, Temperature: 0 } or { HasTopK: true, TopK: 1 };

    /// <summary>The calls to use, and the tier.</summary>
    /// <exception cref="FaultException">The chat cannot be read.</exception>
    public (bool ThroughIds, ResumeTier Tier) Of(GenerateRequest request)
    {
        try
        {
            var chat = request.Chat is { } prompt ? Describe(prompt) : null;
            // A journal without ids is of a server that returns none: its answer is resumed by text.
            var isResumedByText = request.Resume is { NextIndex: > 0, TokenIds.Count: 0 };
            var throughIds = HasTokens && !isResumedByText && (chat is null || GoesThroughIds(chat)) && Profile.TakesTokens(request);
            return (throughIds, HasGrammar(request, chat) ? ResumeTier.None : throughIds ? OfTokens(request) : OfText(chat));
        }
        catch (ChatJsonException exception)
        {
            throw new FaultException(Fault.InvalidRequest, exception.Message, exception);
        }
    }

    // Only the server's chat call parses tools, formats and reasoning, and only it reads images.
    private bool GoesThroughIds(ChatFeatures chat) =>
        Profile.RendersChats && !UsesChatCall && chat is { OffersTools: false, RequiresFormat: false, IsPlainText: true };

    private ResumeTier OfTokens(GenerateRequest request)
    {
        var isPlain = request.Extra.All(member => NeutralMembers.Contains(member.Name)) && (Profile.PenalizesPrompt || !HasPenalty(request.Sampling));
        return !isPlain ? ResumeTier.Text : IsBitExact && IsGreedy(request.Sampling) ? ResumeTier.Exact : ResumeTier.Tokens;
    }

    private static ResumeTier OfText(ChatFeatures? chat) => chat is { OffersTools: true } or { EndsWithAssistant: true } ? ResumeTier.None : ResumeTier.Text;

    private static bool HasGrammar(GenerateRequest request, ChatFeatures? chat) =>
        chat is { RequiresFormat: true } || request.Extra.Any(member => GrammarMembers.Contains(member.Name));

    private static bool HasPenalty(Sampling? sampling) =>
        sampling is not null
        && (sampling.PresencePenalty != 0 || sampling.FrequencyPenalty != 0 || sampling is { HasRepetitionPenalty: true, RepetitionPenalty: not 1 });

    private static ChatFeatures Describe(ChatPrompt chat)
    {
        var messages = ChatJson.Read(chat.Messages);
        return new ChatFeatures(
            messages.All(message => message.OtherPart is null),
            messages[^1].Role == "assistant",
            ChatJson.OffersTools(chat),
            ChatJson.RequiresFormat(chat.ResponseFormat));
    }

    /// <summary>What of a chat matters for resuming.</summary>
    /// <param name="IsPlainText">It has no images, sounds or files.</param>
    /// <param name="EndsWithAssistant">The client itself began the answer.</param>
    /// <param name="OffersTools">The model may call tools.</param>
    /// <param name="RequiresFormat">The answer is bound to JSON or a schema.</param>
    private sealed record ChatFeatures(bool IsPlainText, bool EndsWithAssistant, bool OffersTools, bool RequiresFormat);
}
