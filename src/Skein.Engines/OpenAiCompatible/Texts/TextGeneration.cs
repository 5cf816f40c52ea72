using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Engines.Text;

namespace Skein.Engines.OpenAiCompatible.Texts;

/// <summary>Generates through OpenAI's own calls, which return text and structured deltas but no ids: one index is one event. Thread-safe.</summary>
internal sealed class TextGeneration(EngineHttp http, ServerProfile profile)
{
    // After the finish_reason the counts may come, and [DONE]. Some servers send neither, and keep the connection open.
    private static readonly TimeSpan UsageTimeout = TimeSpan.FromSeconds(1);

    /// <param name="promptTokens">Counts the client's prompt for an answer that is resumed; null: only the server's own count is known.</param>
    /// <param name="systemFingerprint">The server's own name for its configuration, if it is known before its events; empty: it is not.</param>
    public IAsyncEnumerable<GenerateFrame> RunAsync(
        GenerateRequest request, ModelDescription model, ResumeTier tier, CancellationToken cancellationToken,
        Func<ValueTask<int?>>? promptTokens = null, string systemFingerprint = "") =>
        RunAsync(request, model, tier, tokens: null, promptTokens, systemFingerprint, cancellationToken);

    /// <summary>Begins a chat whose server tells the ids of the answer beside its deltas: one index is one token.</summary>
    /// <param name="systemFingerprint">The server's own name for its configuration, if it is known before its events; empty: it is not.</param>
    public IAsyncEnumerable<GenerateFrame> RunWithIdsAsync(
        GenerateRequest request, ModelDescription model, ResumeTier tier, IChatTokens tokens, CancellationToken cancellationToken,
        string systemFingerprint = "") =>
        RunAsync(request, model, tier, tokens, promptTokens: null, systemFingerprint, cancellationToken);

    private async IAsyncEnumerable<GenerateFrame> RunAsync(
        GenerateRequest request, ModelDescription model, ResumeTier tier, IChatTokens? tokens, Func<ValueTask<int?>>? promptTokens,
        string systemFingerprint, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        CheckResume(request.Resume, tier);
        var prompt = promptTokens is not null && request.Resume is { NextIndex: > 0 } ? await promptTokens() : null;
        // The server does not see a stop text that began before the cut.
        var watchesStops = !profile.MatchesStops || request.Resume is { NextIndex: > 0 };
        var answer = new TextAnswer(request, http.Name, prompt, watchesStops) { KnowsFingerprint = systemFingerprint.Length > 0 };
        var ids = tokens?.Read(request);
        // With ids the first event may have those of the prompt.
        var hasStarted = ids is null;
        if (hasStarted)
            yield return AnswerFrames.Start(model, TokenUnit.Chunk, tier, [], (int)(request.Resume?.NextIndex ?? 0), answer.Echo, systemFingerprint);

        if (!answer.IsComplete || IsEmptyAsked(request))
        {
            var isChatOfText = profile.CompletesAsChat && request is { Chat: null, TokenIds: null, Resume.NextIndex: > 0 };
            var asked = isChatOfText ? TextBody.AsChat(request) : request;
            var isChat = asked.Chat is not null;
            var path = isChat ? "v1/chat/completions" : "v1/completions";
            var reader = new PlainDeltaReader(http, isChat) { SkipsFingerprint = answer.KnowsFingerprint };
            await using var events = await http.OpenAsync<DeltaEvent>(
                path, TextBody.Of(profile, asked, model.Name, tokens), reader.Read, request, cancellationToken);
            for (var step = await events.MoveNextAsync(); step != EventStep.End; step = await events.MoveNextAsync())
            {
                if (step == EventStep.Bytes)
                {
                    yield return AnswerFrames.Alive();
                    continue;
                }

                if (!hasStarted)
                {
                    var promptIds = ids!.PromptOf(events.Current.Json);
                    yield return AnswerFrames.Start(model, TokenUnit.Token, tier, promptIds, resumedAt: 0, echo: [], systemFingerprint);
                    hasStarted = true;
                }

                if (events.Current.Json is not { } data)
                {
                    if (ids is not null && events.Current.TextBytes > 0)
                        throw TextDelta.NoIds();

                    if (answer.AddText(reader.Text[..events.Current.TextBytes]) is { } plain)
                        yield return plain;

                    if (answer.IsStopped)
                        break;

                    continue;
                }

                var isCounted = answer.Note(data, ids?.HiddenMember(data));
                if (isCounted)
                    tokens?.NoteUsage(data.GetProperty("usage"));

                reader.SkipsFingerprint = answer.KnowsFingerprint;
                var hasChoice = false;
                foreach (var choice in TextDelta.ChoicesOf(data))
                {
                    hasChoice = true;
                    var delta = ids is not null ? ids.DeltaOf(data, choice)
                        : isChat ? TextDelta.OfChat(choice, request)
                        : TextDelta.OfCompletion(choice, request);
                    if (answer.Add(delta) is { } frame)
                        yield return frame;
                }

                if (!hasChoice && answer.AddMembers() is { } members)
                    yield return members;

                if (answer.IsStopped)
                    break;

                if (answer.HasEnded)
                {
                    events.EndWithin(UsageTimeout);
                    if (isCounted && !hasChoice)
                    {
                        events.Complete();
                        break;
                    }
                }
            }

            if (!answer.HasEnded)
                throw http.EndedEarly(events);
        }

        yield return answer.Finish();
    }

    // What no token at all means is the server's to say.
    private static bool IsEmptyAsked(GenerateRequest request) => request is { HasMaxTokens: true, MaxTokens: 0, Resume: null };

    private static void CheckResume(Resume? resume, ResumeTier tier)
    {
        var reason = resume is null or { NextIndex: 0 } ? null
            : tier == ResumeTier.None ? "tool calls, answers bound to a grammar, begun by the client, or not continued by the server cannot be resumed here"
            : resume.TokenIds.Count > 0 ? "resume.token_ids are given; this engine generates this answer without ids"
            : resume.Text.IsEmpty ? "resume.text is empty after the first index; structured deltas cannot be resumed"
            : null;
        if (reason is not null)
            throw new FaultException(Fault.ResumeRefused, reason);
    }
}
