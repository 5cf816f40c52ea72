using Google.Protobuf.Collections;
using Skein.Engines.Requests;

namespace Skein.Engines.Simulated;

/// <summary>Reads a request's prompt as token ids, and ids as the text that an echo returns.</summary>
internal static class SimulatedPrompt
{
    private const byte Separator = 0x1E;

    /// <summary>The prompt's ids; of a resumed request those that the earlier attempt reported.</summary>
    /// <exception cref="FaultException">The prompt is absent, wrong or longer than <paramref name="contextTokens"/>.</exception>
    public static uint[] ReadIds(GenerateRequest request, int contextTokens)
    {
        if (request.Resume is { PromptTokenIds.Count: > 0 } resume)
            return Check(resume.PromptTokenIds, "resume.prompt_token_ids", contextTokens);

        return request.PromptCase switch
        {
            GenerateRequest.PromptOneofCase.TokenIds => Check(request.TokenIds.Ids, "token_ids", contextTokens),
            GenerateRequest.PromptOneofCase.Chat => Encode(Render(request.Chat), contextTokens),
            _ => Encode(Encoding.UTF8.GetBytes(request.Text), contextTokens),
        };
    }

    /// <summary>The text of ids, in whole characters.</summary>
    public static byte[] ReadText(IEnumerable<uint> ids)
    {
        byte[] bytes = [.. ids.SelectMany(id => SimulatedVocabulary.BytesOf(id, new byte[SimulatedVocabulary.BytesPerPromptToken]).ToArray())];
        return Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(bytes));
    }

    /// <summary>Ids that a client sent, checked against the vocabulary.</summary>
    /// <exception cref="FaultException">An id is unknown, or there are more than <paramref name="contextTokens"/>.</exception>
    public static uint[] Check(RepeatedField<uint> ids, string field, int contextTokens)
    {
        RefuseTooLong(ids.Count, contextTokens);
        for (var i = 0; i < ids.Count; i++)
        {
            if (!SimulatedVocabulary.Contains(ids[i]))
                throw new FaultException(Fault.InvalidRequest, $"{field}[{i}] is {ids[i]}; the model has no such token");
        }

        return [.. ids];
    }

    // The simulated chat template: the JSON as the client sent it.
    private static byte[] Render(ChatPrompt chat)
    {
        PlainChat.Check(chat);
        return [.. chat.Messages.Span, Separator, .. chat.Tools.Span, Separator, .. chat.ToolChoice.Span];
    }

    // Refused before the ids are made: a prompt may have the size of the largest body.
    private static uint[] Encode(ReadOnlySpan<byte> prompt, int contextTokens)
    {
        RefuseTooLong((prompt.Length + SimulatedVocabulary.BytesPerPromptToken - 1) / SimulatedVocabulary.BytesPerPromptToken, contextTokens);
        return SimulatedVocabulary.Encode(prompt);
    }

    private static void RefuseTooLong(int tokens, int contextTokens)
    {
        if (tokens > contextTokens)
            throw RequestChecks.TooLong(contextTokens, $"a prompt of {tokens}");
    }
}
