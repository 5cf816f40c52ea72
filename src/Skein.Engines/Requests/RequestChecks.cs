using System.Globalization;
using System.Numerics;

namespace Skein.Engines.Requests;

/// <summary>Checks requests against the limits of the wire contract. Every refusal names the field, its value and what is allowed.</summary>
internal static class RequestChecks
{
    private const int MaxShownCharacters = 80;

    /// <summary>Checks what is the same for every engine; sampling is checked by <see cref="Check(Sampling)"/>.</summary>
    /// <exception cref="FaultException">A field is out of its range.</exception>
    public static void Check(GenerateRequest request)
    {
        Require(request.PromptCase != GenerateRequest.PromptOneofCase.None, "prompt", "missing", "a text, token ids or a chat");
        Require(request.TokenIds is null or { Ids.Count: > 0 }, "prompt.token_ids", "empty", "at least one id");
        Require(request.N <= 1, "n", request.N, "1: an engine makes one choice at a time");
        Require("logprobs", request.Logprobs, RequestLimits.TopLogprobs);
        Require(!request.Echo || request.Chat is null, "echo", "true", "false for a chat");
        if (request.Stop.Count > RequestLimits.StopTexts)
            throw Refused("stop", $"{request.Stop.Count} texts", $"at most {RequestLimits.StopTexts}");

        for (var i = 0; i < request.Stop.Count; i++)
        {
            if (Encoding.UTF8.GetByteCount(request.Stop[i]) is var bytes and not (>= 1 and <= RequestLimits.StopTextBytes))
                throw Refused($"stop[{i}]", $"{bytes} bytes long", $"1 to {RequestLimits.StopTextBytes}");
        }
    }

    /// <summary>Checks the ranges of sampling, for engines that sample themselves.</summary>
    /// <exception cref="FaultException">A value is out of its range.</exception>
    public static void Check(Sampling sampling)
    {
        Require("temperature", sampling.Temperature, RequestLimits.Temperature);
        Require("top_p", sampling.HasTopP ? sampling.TopP : 1, RequestLimits.TopP);
        Require("min_p", sampling.MinP, RequestLimits.MinP);
        Require("presence_penalty", sampling.PresencePenalty, RequestLimits.Penalty);
        Require("frequency_penalty", sampling.FrequencyPenalty, RequestLimits.Penalty);
        Require("repetition_penalty", sampling.HasRepetitionPenalty ? sampling.RepetitionPenalty : 1, RequestLimits.RepetitionPenalty);
        if (sampling.LogitBias.Count > RequestLimits.LogitBiases)
            throw Refused("logit_bias", $"{sampling.LogitBias.Count} members long", $"at most {RequestLimits.LogitBiases}");

        foreach (var (id, bias) in sampling.LogitBias)
        {
            if (!RequestLimits.LogitBias.Contains(bias))
                throw Refused($"logit_bias[{id}]", bias, RequestLimits.LogitBias.ToString());
        }
    }

    /// <summary>
    /// Refuses members of OpenAI's completions that ask for another answer to the same prompt. An engine that ignored them would give an answer that looks
    /// right and is wrong.
    /// </summary>
    /// <exception cref="FaultException"><c>best_of</c> is above 1, or <c>suffix</c> is not empty.</exception>
    public static void RefuseBestOfAndSuffix(GenerateRequest request)
    {
        foreach (var member in request.Extra)
        {
            var json = member.Json.ToStringUtf8();
            if (member.Name == "best_of" && json is not ("0" or "1" or "null"))
                throw Refused("best_of", json, "1: this engine makes one answer and cannot choose among several");
            if (member.Name == "suffix" && json is not ("\"\"" or "null"))
                throw Refused("suffix", json, "empty: this engine continues a text and cannot fill a gap in one");
        }
    }

    /// <summary>Refuses <c>echo</c> with <c>logprobs</c>: a client would take the missing log probabilities of the prompt for certainty.</summary>
    /// <exception cref="FaultException">The request asks for both.</exception>
    public static void RefuseEchoWithLogprobs(GenerateRequest request) => Require(
        request is { Echo: false } or { HasLogprobs: false },
        "echo",
        "true with logprobs",
        "one of both: this engine gives no log probabilities of the prompt");

    /// <summary>Refuses a prompt with ids that the model does not have: they end some servers.</summary>
    /// <param name="vocabularySize">Number of tokens of the model; 0: unknown.</param>
    /// <exception cref="FaultException">An id is not in the vocabulary.</exception>
    public static void RequireKnownIds(GenerateRequest request, int vocabularySize)
    {
        if (vocabularySize <= 0 || request.TokenIds is not { } prompt)
            return;

        for (var i = 0; i < prompt.Ids.Count; i++)
        {
            if (prompt.Ids[i] >= vocabularySize)
                throw Refused($"prompt[{i}]", prompt.Ids[i], $"token ids below {vocabularySize}, the size of the model's vocabulary");
        }
    }

    /// <summary>Most tokens of the answer: <c>max_tokens</c>, or else what the prompt leaves of the context.</summary>
    /// <exception cref="FaultException">Prompt and answer do not fit into the context.</exception>
    public static int MaxTokens(GenerateRequest request, int promptTokens, int contextTokens)
    {
        var left = contextTokens - promptTokens;
        return request.HasMaxTokens && request.MaxTokens <= left ? (int)request.MaxTokens
            : request.HasMaxTokens ? throw TooLong(
                contextTokens, $"a prompt of {promptTokens} and max_tokens {request.MaxTokens}", left > 0 ? "max_tokens" : PromptOf(request))
            : left > 0 ? left
            : throw TooLong(contextTokens, $"a prompt of {promptTokens} and at least 1 for the answer", PromptOf(request));
    }

    /// <summary>Checks that a journal's ids are all there and are those of the model.</summary>
    /// <exception cref="FaultException">They are not.</exception>
    public static void CheckResumedIds(Resume resume, ModelDescription model)
    {
        if (resume.NextIndex != resume.TokenIds.Count)
            throw ResumeRefused($"resume.next_index is {resume.NextIndex}; allowed: {resume.TokenIds.Count}, the number of resume.token_ids");
        if (resume.Fingerprint != model.Fingerprint)
            throw ResumeRefused($"resume.fingerprint is '{resume.Fingerprint}'; ids can be resumed here from '{model.Fingerprint}' only");
    }

    public static FaultException ResumeRefused(string reason) => new(Fault.ResumeRefused, reason);

    /// <param name="param">The member that is too long, as <see cref="PromptOf"/> names it; null: unknown.</param>
    public static FaultException TooLong(int contextTokens, string requested, string? param = null) =>
        new(Fault.ContextLengthExceeded, $"the model's context holds {contextTokens} tokens; asked for: {requested}") { Param = param };

    /// <summary>The client's name of the member with the prompt.</summary>
    public static string PromptOf(GenerateRequest request) => request.Chat is null ? "prompt" : ChatJson.Messages;

    /// <exception cref="FaultException">The condition is false.</exception>
    public static void Require<T>(bool isValid, string field, T value, string allowed)
    {
        if (!isValid)
            throw Refused(field, value, allowed);
    }

    /// <summary>The refusal of a value; long values are shortened.</summary>
    public static FaultException Refused(string field, object? value, string allowed)
    {
        var text = Convert.ToString(value, CultureInfo.InvariantCulture) ?? "";
        var shown = text.Length <= MaxShownCharacters ? text : text[..MaxShownCharacters] + "…";
        return new FaultException(Fault.InvalidRequest, $"{field} is {shown}; allowed: {allowed}") { Param = field };
    }

    /// <exception cref="FaultException">The value is not in the range.</exception>
    public static void Require<T>(string field, T value, NumberRange range)
        where T : INumberBase<T>
    {
        if (!range.Contains(double.CreateSaturating(value)))
            throw Refused(field, value, range.ToString());
    }
}
