using Skein.Engines.OpenAiCompatible.Proofs;

namespace Skein.Engines.OpenAiCompatible;

/// <summary>Calls that generate or continue an answer.</summary>
internal enum AnswerWay
{
    /// <summary>OpenAI's own calls; an answer is continued from its text.</summary>
    Text,

    /// <summary>The server's chat call, which also returns ids; an answer is continued by <see cref="Ids"/>.</summary>
    ChatWithIds,

    /// <summary>Calls that take and return token ids.</summary>
    Ids,

    /// <summary>OpenAI's own calls, which answer in one piece; there is nothing to continue.</summary>
    Whole,
}

/// <summary>Chooses the calls for a request, and how well its answer can then be resumed: the table of docs/reference/engines.md as code. Immutable.</summary>
/// <param name="Proofs">What the server was seen to continue. Calls for token ids are used only if they continue ids.</param>
/// <param name="UsesChatCall">Whether chats go through its own chat call.</param>
/// <param name="IsBitExact">Whether greedy answers do not depend on where they were interrupted.</param>
internal sealed record ResumeTiers(ServerProfile Profile, ModelProofs Proofs, bool UsesChatCall, bool IsBitExact)
{
    /// <summary>Members that do not affect the tokens: names, counts and timing of a request.</summary>
    private static readonly HashSet<string> NeutralMembers = new(StringComparer.Ordinal)
    {
        "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "cache_prompt", "timings_per_token", "priority",
        "parallel_tool_calls", "return_token_ids", "return_prompt_token_ids", "ignore_eos",
        // They make another prompt, whose ids are known.
        "chat_template_kwargs", "chat_template", "documents", "reasoning_effort", "verbosity", "add_generation_prompt", "include_reasoning",
        // A limit that is none, and a bias that is the same for every token.
        "max_tokens", "max_completion_tokens", "logit_bias",
        // How the answer is divided, where a server's calls for ids take it.
        "reasoning_format",
        // What is told of the prompt.
        "return_progress",
        // A 0 as the client wrote it: some servers tell none then, others those of the chosen tokens.
        "logprobs", "top_logprobs",
    };

    /// <summary>
    /// Members with which the calls for ids answer as the chat call does. Without a generation prompt, only the chat call's parser knows what is reasoning.
    /// </summary>
    private static readonly HashSet<string> MembersOfIdCalls = [.. NeutralMembers.Except(["add_generation_prompt", "return_progress"]), "grammar"];

    /// <summary>Members that ask for a report if they are true.</summary>
    private static readonly HashSet<string> Switches = new(StringComparer.Ordinal) { "verbose", "return_progress" };

    /// <summary>Members that restrict the answer to a grammar, whose state is lost with the engine.</summary>
    private static readonly HashSet<string> GrammarMembers = new(StringComparer.Ordinal)
    {
        "grammar", "json_schema", "response_format", "structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "regex",
        "ebnf", "structural_tag", "tools", "functions",
    };

    /// <summary>The best tier of any request.</summary>
    public ResumeTier Best => Proofs.Ids.IsProven || HasChatIds
        ? IsBitExact && (Proofs.Ids.IsExact || (HasChatIds && Proofs.ChatIds.IsExact)) ? ResumeTier.Exact : ResumeTier.Tokens
        : Proofs.Chat.IsProven || Proofs.Completion.IsProven ? ResumeTier.Text
        : ResumeTier.None;

    /// <summary>Why lost chats or completions are made again from their beginning, in one line; empty if they are continued.</summary>
    public string Reason
    {
        get
        {
            var chat = HasChatIds ? Proofs.ChatIds : Proofs.Chat;
            var completion = Proofs.Ids.IsProven ? Proofs.Ids : Proofs.Completion;
            return (chat, completion) switch
            {
                ({ IsProven: true }, { IsProven: true }) => "",
                (_, { IsProven: true }) => $"lost chats are made again: {chat.Reason}",
                ({ IsProven: true }, _) => $"lost completions are made again: {completion.Reason}",
                _ when chat.Reason == completion.Reason => $"lost answers are made again: {chat.Reason}",
                _ => $"lost chats are made again: {chat.Reason}; lost completions too: {completion.Reason}",
            };
        }
    }

    private bool HasChatIds => Proofs.ChatIds.IsProven && !UsesChatCall;

    /// <summary>Whether the answer does not depend on randomness.</summary>
    public static bool IsGreedy(Sampling? sampling) => sampling is { HasTemperature: true, Temperature: 0 } or { HasTopK: true, TopK: 1 };

    /// <summary>Whether servers read the member as if it were absent: null, an empty list, or a report that is not asked for.</summary>
    public static bool IsAbsent(RawMember member)
    {
        var json = member.Json.Span.Trim(" \t\r\n"u8);
        return json.SequenceEqual("null"u8) || json.SequenceEqual("[]"u8) || (json.SequenceEqual("false"u8) && Switches.Contains(member.Name));
    }

    /// <summary>
    /// Whether only the chat call is known to obey a member as the client expects: its parser and its options differ from those of the calls for ids, which may
    /// ignore it without a word. With such a member the tier is text in any case.
    /// </summary>
    private static bool IsForChatCall(RawMember member) =>
        !MembersOfIdCalls.Contains(member.Name) && !IsAbsent(member);

    /// <summary>
    /// Whether an answer that is generated again from its beginning is the same, byte for byte. A gateway gives every request a seed. One continuation of the
    /// proof that differed is enough against it.
    /// </summary>
    public bool RepeatsExactly(GenerateRequest request) =>
        IsBitExact && Proofs.Ids.IsExact && (IsGreedy(request.Sampling) || (Profile.ObeysSeeds && request.Sampling is { HasSeed: true }));

    /// <summary>The calls to use, and the tier.</summary>
    /// <exception cref="FaultException">The chat cannot be read.</exception>
    public (AnswerWay Way, ResumeTier Tier) Of(GenerateRequest request)
    {
        try
        {
            var outline = request.Chat is { } prompt ? ChatJson.Outline(prompt.Messages) : null;
            var offersTools = request.Chat is { } chat && ChatJson.OffersTools(chat);
            var requiresFormat = request.Chat is { } formatted && ChatJson.RequiresFormat(formatted.ResponseFormat);
            if (Profile.NeedsWholeAnswer(request))
                return (AnswerWay.Whole, ResumeTier.None);

            var hasGrammar = requiresFormat || request.Extra.Any(member => GrammarMembers.Contains(member.Name) && !IsAbsent(member));
            var continuesTools = offersTools && !hasGrammar && MayCall(request);
            // Only the server's chat call parses tools and formats, reads images, and knows what it does with an answer that the client began.
            var needsChatCall = outline is not null
                && (!HasChatIds || (offersTools && !continuesTools) || requiresFormat || outline.HasOtherParts
                    || (!Profile.ReturnsChatIds && (outline.Begun is not null || request.Extra.Any(IsForChatCall))));
            // A journal without ids comes from a server that returns none. Its answer is resumed by text.
            var isResumedByText = request.Resume is { NextIndex: > 0, TokenIds.Count: 0 };
            var throughIds = (outline is not null || Proofs.Ids.IsProven)
                && !isResumedByText && !needsChatCall && !IsEdgeCase(request) && Profile.TakesTokens(request);
            // The format goes on behind the text. Made again, the answer is the same: only what cannot be made again is continued like this.
            var continuesFormat = requiresFormat && isResumedByText && Proofs.Formats.IsProven && !offersTools;
            var isBound = Profile.IsMadeAgain(request) || (hasGrammar && !continuesFormat) || (!throughIds && IsBoundByText(request, outline, offersTools));
            var isContinued = throughIds || (outline is null ? Proofs.Completion : Proofs.Chat).IsProven;
            var way = !throughIds ? AnswerWay.Text
                : outline is not null && (Profile.ReturnsChatIds || offersTools) && request.Resume is not { NextIndex: > 0 } ? AnswerWay.ChatWithIds
                : AnswerWay.Ids;
            if (way != AnswerWay.Ids && Profile.TellsMoreInWhole(request))
                return (AnswerWay.Whole, ResumeTier.None);

            // A call after ids were continued is made again from the beginning if the answer does not depend on randomness. Otherwise it must be read here.
            var isDoubtful = continuesTools && !IsGreedy(request.Sampling) && (Profile.BindsCalls || !Proofs.ReadsCalls)
                && request.Resume is not { NextIndex: > 0 };
            return (way, isBound || isDoubtful || !isContinued ? ResumeTier.None : throughIds ? OfTokens(request) : ResumeTier.Text);
        }
        catch (ChatJsonException exception)
        {
            throw new FaultException(Fault.InvalidRequest, exception.Message, exception) { Param = exception.Field };
        }
    }

    // Without ids, neither a tool call nor an answer that the client began can be continued, unless the client's part and the rest are known to be one message.
    private bool IsBoundByText(GenerateRequest request, ChatOutline? outline, bool offersTools) =>
        offersTools
        || (outline?.Begun is { } begun
            && (!Profile.ContinuesLastMessage(request) || begun is { Text: null } or { OtherPart: not null } or { Calls: not null }))
        // The log probabilities of a chat have another form.
        || (Profile.CompletesAsChat && request is { Chat: null, HasLogprobs: true });

    // An answer that must be a call is bound to a grammar from its first token.
    private bool MayCall(GenerateRequest request) =>
        Proofs.Tools.IsProven && OfTokens(request) != ResumeTier.Text && !ChatJson.RequiresTool(request.Chat.ToolChoice);

    // Servers differ in what they answer to these, and their calls for ids are no measure of it.
    private static bool IsEdgeCase(GenerateRequest request) =>
        request is { HasMaxTokens: true, MaxTokens: 0 } or { PromptCase: GenerateRequest.PromptOneofCase.Text, Text: "" };

    private ResumeTier OfTokens(GenerateRequest request)
    {
        var isPlain = request.Extra.All(member => NeutralMembers.Contains(member.Name) || IsAbsent(member))
            && (Profile.PenalizesPrompt || !HasPenalty(request.Sampling));
        if (!isPlain)
            return ResumeTier.Text;
        // One difference that was seen is enough: a server that is declared bit-exact and is not must not be believed.
        var proof = request.Chat is null ? Proofs.Ids : ChatJson.OffersTools(request.Chat) ? Proofs.Tools : Proofs.ChatIds;
        return IsBitExact && proof.IsExact && IsGreedy(request.Sampling) ? ResumeTier.Exact : ResumeTier.Tokens;
    }

    private static bool HasPenalty(Sampling? sampling) =>
        sampling is not null
        && (sampling.PresencePenalty != 0 || sampling.FrequencyPenalty != 0 || sampling is { HasRepetitionPenalty: true, RepetitionPenalty: not 1 });
}
