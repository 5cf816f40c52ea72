using Skein.Engines.OpenAiCompatible.Reasoning;
using Skein.Engines.OpenAiCompatible.Texts;
using Skein.Engines.OpenAiCompatible.Tools;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Engines.Requests;
using Skein.Engines.Text;

namespace Skein.Engines.OpenAiCompatible.Tokens;

/// <summary>Generates through the calls for token ids. Thread-safe.</summary>
/// <param name="dialect">The calls.</param>
/// <param name="reasoning">How chats are divided into reasoning and content.</param>
/// <param name="marks">How tool calls begin; null: it is not known.</param>
internal sealed class TokenGeneration(ITokenDialect dialect, ChatReasoning reasoning, ToolCallMarks? marks = null)
{
    /// <summary>The ids that the server's chat call tells; null: it tells none.</summary>
    public IChatTokens? ChatTokens => dialect.ChatTokens;

    /// <summary>Tokens of the client's prompt; null: the server does not say.</summary>
    public async ValueTask<int?> PromptTokensAsync(GenerateRequest request, ModelDescription model, CancellationToken cancellationToken)
    {
        try
        {
            return (await PromptAsync(request, model, cancellationToken)).Length;
        }
        catch (FaultException refusal) when (refusal.Fault is Fault.InvalidRequest or Fault.Unsupported || EngineErrors.IsMissingCall(refusal))
        {
            return null;
        }
    }

    public async IAsyncEnumerable<GenerateFrame> RunAsync(
        GenerateRequest request, ModelDescription model, ResumeTier tier, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        CheckResume(request.Resume, model, tier);
        var prompt = await PromptAsync(request, model, cancellationToken);
        var call = new TokenCall(request, model.Name, prompt, [.. request.Resume?.TokenIds ?? []], MaxTokens(request, model, prompt.Length));
        if (call.Answer.Contains(UnknownToken.Id))
            call = call with { Answer = await dialect.FillAsync(call, cancellationToken) };

        var echo = request.Echo ? await EchoAsync(call, cancellationToken) : [];
        var text = await dialect.TextOfAsync(call, cancellationToken);
        var form = FormFor(request);
        var isUndivided = request.Chat is not null && dialect.LeavesReasoning(request);
        var split = request.Chat is null || isUndivided ? null : await SplitAsync(call, form, cancellationToken);
        var usage = request.Chat is null ? null : dialect.UsageOf(reasoning.Form, split is { IsDivided: true });
        var begin = isUndivided ? Encoding.UTF8.GetBytes(reasoning.MarksIn(await PromptEndAsync(call, cancellationToken))) : echo;
        var trimsBegin = isUndivided && begin.Length == 0 && reasoning is { Form: not null, Trims: true };
        var answer = new TokenAnswer(call, begin, text, split, usage, trimsBegin)
        {
            HasShownLogprobsOnly = split is { IsDivided: true } && !request.Whole && dialect.StreamsShownLogprobsOnly,
        };
        RefuseCalls(answer, form);
        yield return AnswerFrames.Start(model, TokenUnit.Token, tier, prompt, call.Answer.Count, echo, dialect.SystemFingerprint);

        var end = default(AnswerEnd);
        if (answer.IsComplete)
        {
            answer.CountCached(await CachedTokensAsync(call, cancellationToken));
        }
        else
        {
            await foreach (var step in dialect.GenerateAsync(call, cancellationToken))
            {
                answer.Count(step);
                if (step.Ids.Count > 0 || (!step.End.IsEnd && !step.Chunk.IsEmpty))
                {
                    var frame = answer.Add(step);
                    RefuseCalls(answer, form);
                    yield return frame;
                }
                else if (!step.End.IsEnd)
                    yield return AnswerFrames.Alive();

                end = step.End;
                if (end.IsEnd || answer.IsStopped)
                    break;
            }

            if (!end.IsEnd && !answer.IsStopped)
                throw new FaultException(Fault.EngineFailed, $"the engine's stream of '{model.Name}' ended without a reason");
        }

        var last = answer.Finish(end, dialect.StopMember);
        if (answer.HasCallBegun)
        {
            var calls = form is not null && last.Finish.Reason == FinishReason.Stop ? answer.CallsIn(form) : default;
            RefuseCalls(answer, calls.IsEmpty ? null : form);
            last.RawDelta = ByteString.CopyFrom(calls.Span);
            last.Finish.Reason = FinishReason.ToolCalls;
        }

        yield return last;
    }

    // Null if the server does not say. The client has the whole answer: it must not fail for a count.
    private async ValueTask<int?> CachedTokensAsync(TokenCall call, CancellationToken cancellationToken)
    {
        try
        {
            return await dialect.CachedTokensAsync(call, cancellationToken);
        }
        catch (FaultException)
        {
            return null;
        }
    }

    // The calls of an answer that depends on randomness, or that came out otherwise, cannot be made again: the model's own text is read.
    private ToolCallForm? FormFor(GenerateRequest request) => ResumeTiers.IsGreedy(request.Sampling) && !request.LastResort ? null : marks?.Form;

    // What the client has got is a part of what the chat call then answers.
    private static void RefuseCalls(TokenAnswer answer, ToolCallForm? form)
    {
        if (answer.HasCallBegun && form is null)
            throw RequestChecks.ResumeRefused("the answer has a tool call, which the server's chat call must make; allowed: to generate it from its beginning");
    }

    private static void CheckResume(Resume? resume, ModelDescription model, ResumeTier tier)
    {
        if (resume is null)
            return;
        if (tier == ResumeTier.None)
            throw RequestChecks.ResumeRefused("the answer is bound to a grammar or a tool call, whose state is lost, or its server does not continue it");
        RequestChecks.CheckResumedIds(resume, model);
    }

    private async ValueTask<uint[]> PromptAsync(GenerateRequest request, ModelDescription model, CancellationToken cancellationToken)
    {
        var ids = request.Resume is { PromptTokenIds.Count: > 0 } resume ? [.. resume.PromptTokenIds]
            : request.TokenIds is { } given ? [.. given.Ids]
            : await dialect.PromptIdsAsync(request, model.Name, cancellationToken);
        return ids.Length > 0 ? ids : throw new FaultException(Fault.InvalidRequest, "prompt is empty; allowed: a text of at least one token");
    }

    private async ValueTask<SplitAnswer?> SplitAsync(TokenCall call, ToolCallForm? form, CancellationToken cancellationToken)
    {
        var text = await PromptEndAsync(call, cancellationToken);
        var calls = marks is not null && ChatJson.OffersTools(call.Request.Chat) ? new ToolCallWatch(marks) : null;
        if (calls is not null && form is null && calls.IsMark(call.Answer))
            throw RequestChecks.ResumeRefused("resume.token_ids has the beginning of a tool call; allowed: to generate the answer from its beginning");

        return reasoning.Split(call.Request.Resume, text, calls);
    }

    // Empty if it does not matter.
    private async ValueTask<string> PromptEndAsync(TokenCall call, CancellationToken cancellationToken)
    {
        var end = reasoning.NeedsPromptEnd ? call with { Prompt = [], Answer = [.. call.Prompt.TakeLast(ChatReasoning.PromptEndTokens)] } : null;
        return end is null ? "" : Encoding.UTF8.GetString(await dialect.TextOfAsync(end, cancellationToken));
    }

    private int? MaxTokens(GenerateRequest request, ModelDescription model, int promptTokens) =>
        // The server judges the client's number; without one, its token call would not use the rest of the context.
        request.HasMaxTokens ? (int)request.MaxTokens
        : model.ContextTokens > 0 && !dialect.KnowsLongest ? RequestChecks.MaxTokens(request, promptTokens, (int)model.ContextTokens)
        : null;

    private async ValueTask<byte[]> EchoAsync(TokenCall call, CancellationToken cancellationToken) => call.Request.TokenIds is null
        ? Encoding.UTF8.GetBytes(call.Request.Text)
        : await dialect.TextOfAsync(call with { Prompt = [], Answer = call.Prompt }, cancellationToken);
}
