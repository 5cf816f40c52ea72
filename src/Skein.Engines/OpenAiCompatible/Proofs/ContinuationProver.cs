using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.Proofs;

/// <summary>Generates an answer, or continues one, as for a client.</summary>
internal delegate IAsyncEnumerable<GenerateFrame> Generate(GenerateRequest request);

/// <summary>
/// Proves that a server continues answers: some greedy tokens are generated, cut at several places, continued as a lost answer would be, and compared with
/// the undisturbed ones. About 45 tokens, 90 if the first answer shows nothing.
/// </summary>
internal static class ContinuationProver
{
    /// <summary>Tokens of the undisturbed answer.</summary>
    internal const int AnswerTokens = 20;

    /// <summary>Tokens that are continued after each cut.</summary>
    internal const int ContinuedTokens = 8;

    /// <summary>Texts whose answers rarely repeat themselves. The second one is only used if the first one's answer shows nothing.</summary>
    internal static readonly string[] Texts = ["Once upon a time", "The colours of the rainbow and what they remind me of:"];

    /// <summary>Questions with the same purpose for chats.</summary>
    internal static readonly string[] Questions = ["Tell a short tale about a fox and a crow.", "Describe the way from a spring in the hills to the sea."];

    private const int MostReasonCharacters = 160;

    /// <param name="isChat">Whether chats are to be continued, or completions.</param>
    /// <param name="takesReasoning">Whether an answer is also continued inside its reasoning.</param>
    /// <param name="other">Another way to the same answers: an answer that differs from it is not used. Null: none.</param>
    /// <param name="ask">Adds to the questions; null: nothing.</param>
    /// <exception cref="FaultException">The server failed or is too busy: nothing is known.</exception>
    public static async ValueTask<ContinuationProof> ProveAsync(
        bool isChat, string model, Generate generate, bool takesReasoning = false, Generate? other = null, Action<GenerateRequest>? ask = null)
    {
        var proof = ContinuationProof.Pending;
        foreach (var text in isChat ? Questions : Texts)
        {
            var request = isChat ? Chat(model, text) : Completion(model, text);
            ask?.Invoke(request);
            try
            {
                if (await ProveAsync(request, generate, takesReasoning, other) is { } result)
                    return result;

                proof = ContinuationProof.Not("its answers to two questions are too short, or repeat themselves too soon, to show whether it continues them");
            }
            catch (FaultException refusal) when (refusal.Fault == Fault.ResumeRefused || IsRefusal(refusal))
            {
                proof = ContinuationProof.Not($"it refuses the call: {Short(refusal.Message)}");
                // The answer to another question may have no tool call.
                if (ask is null || refusal.Fault != Fault.ResumeRefused)
                    return proof;
            }
        }

        return proof;
    }

    /// <summary>Whether a fault is about the request, not about the server's state.</summary>
    public static bool IsRefusal(FaultException exception) =>
        EngineErrors.IsMissingCall(exception) || exception.Fault is Fault.InvalidRequest or Fault.ModelNotFound or Fault.ContextLengthExceeded;

    /// <summary>Null: the answer shows nothing.</summary>
    private static async ValueTask<ContinuationProof?> ProveAsync(GenerateRequest request, Generate generate, bool takesReasoning, Generate? other)
    {
        // Up to its end, which shows how the server counts.
        var answer = await RecordedAnswer.ReadAsync(generate(request), AnswerTokens + 1);
        if (answer.HasOtherDeltas || (answer.Reasoning.Length > 0 && !takesReasoning))
            return ContinuationProof.Not("its answer begins with reasoning, or another part that is no text");

        if (other is not null && !IsSame(answer, await RecordedAnswer.ReadAsync(other(request), AnswerTokens)))
            return ContinuationProof.Not("its chat call answers otherwise than its calls for token ids");

        var (continues, differs) = (0, 0);
        foreach (var (journal, said) in answer.Cuts())
        {
            var next = new GenerateRequest(request) { Resume = journal, MaxTokens = journal.NextIndex + ContinuedTokens };
            var continued = await RecordedAnswer.ReadAsync(generate(next), ContinuedTokens);
            var verdict = ContinuationComparison.Of(answer.Said, said, continued.Said, continued.HasEnded);
            if (verdict == ContinuationVerdict.Restarts)
                return ContinuationProof.Not("it starts anew instead of continuing an answer");

            continues += verdict == ContinuationVerdict.Continues ? 1 : 0;
            differs += verdict == ContinuationVerdict.Differs ? 1 : 0;
        }

        if (differs > 0 && differs >= continues)
            return ContinuationProof.Not($"{differs} of {differs + continues} continued answers differ from the undisturbed one");

        return continues <= 1 ? null : differs > 0 ? ContinuationProof.ProvenInMost : ContinuationProof.Proven;
    }

    // Pieces are of different sizes in both: only what both have is compared.
    private static bool IsSame(RecordedAnswer one, RecordedAnswer other)
    {
        var length = Math.Min(one.Said.Length, other.Said.Length);
        var content = Math.Min(one.Content.Length, other.Content.Length);
        return one.Reasoning == other.Reasoning && one.Said.IsEmpty == other.Said.IsEmpty && one.Said[..length].SequenceEqual(other.Said[..length])
            && one.Content[..content].SequenceEqual(other.Content[..content]);
    }

    private static GenerateRequest Completion(string model, string text) => Greedy(new GenerateRequest { Model = model, Text = text });

    private static GenerateRequest Chat(string model, string question) => Greedy(new GenerateRequest
    {
        Model = model,
        Chat = new ChatPrompt { Messages = ByteString.CopyFromUtf8($$"""[{"role":"user","content":"{{question}}"}]""") },
    });

    private static GenerateRequest Greedy(GenerateRequest request)
    {
        (request.MaxTokens, request.Sampling) = (AnswerTokens, new Sampling { Temperature = 0 });
        return request;
    }

    private static string Short(string message) => message.Length <= MostReasonCharacters ? message : message[..MostReasonCharacters] + "…";
}
