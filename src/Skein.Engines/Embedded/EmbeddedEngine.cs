using Skein.Engines.Embedded.Chat;
using Skein.Engines.Embedded.Generation;
using Skein.Engines.Embedded.Model;
using Skein.Engines.Embedded.Tokens;
using Skein.Engines.Requests;
using Skein.Engines.Text;

namespace Skein.Engines.Embedded;

/// <summary>Serves one model. A stream runs on the pool thread that reads it, and yields after every token and every block of its prompt.</summary>
internal sealed class EmbeddedEngine(
    ModelDescription description,
    LlamaModel model,
    Vocabulary vocabulary,
    ChatTemplate? chat,
    double tokensPerSecond,
    TimeProvider time,
    Func<ulong> drawSeed) : IInferenceEngine
{
    private const int Slots = 64;

    private readonly RequestPlanner _planner = new(description, vocabulary, chat, drawSeed);

    public string Kind => EmbeddedEngineFactory.Kind;

    public ValueTask<EngineDescription> DescribeAsync(CancellationToken cancellationToken) =>
        ValueTask.FromResult(new EngineDescription([description.Clone()], Slots));

    public async IAsyncEnumerable<GenerateFrame> GenerateAsync(GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var plan = _planner.Plan(request);
        var answer = new GeneratedAnswer(plan, vocabulary);
        yield return StartFrame(plan, answer);

        using var cache = model.NewCache();
        var ids = plan.Prompt.Concat(answer.Ids);
        await foreach (var frame in DecodeAsync(answer, ids, cache, new float[vocabulary.Count], cancellationToken))
            yield return frame;
    }

    // The cache keeps what the standby attempt read. The answer depends on its ids alone and is rebuilt from the whole journal.
    public async IAsyncEnumerable<GenerateFrame> GenerateStandbyAsync(
        GenerateRequest request, Func<CancellationToken, Task<Resume?>> continued, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var plan = _planner.Plan(request);
        var standby = new GeneratedAnswer(plan, vocabulary);
        using var cache = model.NewCache();
        var logits = new float[vocabulary.Count];
        if (!standby.NeedsScores)
            await PrefillAsync([.. plan.Prompt, .. standby.Ids], cache, logits, cancellationToken);
        yield return StartFrame(plan, standby);

        var answer = new GeneratedAnswer(_planner.Resumed(plan, await continued(cancellationToken)), vocabulary);
        if (!answer.Ids.Take(standby.Ids.Count).SequenceEqual(standby.Ids))
            throw RequestChecks.ResumeRefused($"the journal's {answer.Ids.Count} ids do not begin with the {standby.Ids.Count} ids of the standby attempt");

        // Scores need the logits after every token, which the standby attempt did not keep.
        var unread = answer.NeedsScores ? plan.Prompt.Concat(answer.Ids) : answer.Ids.Skip(standby.Ids.Count);
        await foreach (var frame in DecodeAsync(answer, unread, cache, logits, cancellationToken))
            yield return frame;
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    // If no token is unread, the logits are those after the last one.
    private async IAsyncEnumerable<GenerateFrame> DecodeAsync(
        GeneratedAnswer answer, IEnumerable<int> unread, KvCache cache, float[] logits, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (answer.NeedsScores)
            await ScoreAsync(answer, [.. unread], cache, logits, cancellationToken);
        if (!answer.IsComplete)
        {
            if (!answer.NeedsScores)
                await PrefillAsync([.. unread], cache, logits, cancellationToken);
            var pace = new Pace(tokensPerSecond, time);
            while (answer.Advance(logits) is { } frame)
            {
                await pace.WaitAsync(cancellationToken);
                yield return frame;
                if (answer.IsComplete)
                    break;

                // The reader has the frame at once: the next one is computed elsewhere.
                await Task.Yield();
                Evaluate([answer.Ids[^1]], cache, logits);
            }
        }

        yield return answer.Finish();
    }

    private GenerateFrame StartFrame(GenerationPlan plan, GeneratedAnswer answer) =>
        AnswerFrames.Start(
        description, TokenUnit.Token, description.ResumeTier, [.. plan.Prompt.Select(id => (uint)id)], answer.Ids.Count, plan.Echo, description.Fingerprint);

    private async ValueTask PrefillAsync(int[] tokens, KvCache cache, float[] logits, CancellationToken cancellationToken)
    {
        for (var start = 0; start < tokens.Length; start += Workspace.BlockTokens)
        {
            await Task.Yield();
            cancellationToken.ThrowIfCancellationRequested();
            var block = tokens.AsMemory(start, Math.Min(Workspace.BlockTokens, tokens.Length - start));
            var isLast = start + block.Length == tokens.Length;
            Evaluate(block.Span, cache, isLast ? logits : []);
        }
    }

    /// <summary>Reads tokens one by one, because the logits after each of them are needed.</summary>
    private async ValueTask ScoreAsync(GeneratedAnswer answer, int[] tokens, KvCache cache, float[] logits, CancellationToken cancellationToken)
    {
        for (var at = 0; at < tokens.Length; at++)
        {
            if (at % Workspace.BlockTokens == 0)
            {
                await Task.Yield();
                cancellationToken.ThrowIfCancellationRequested();
            }

            if (at > 0)
                answer.Score(logits, tokens[at]);
            Evaluate([tokens[at]], cache, logits);
        }
    }

    private void Evaluate(ReadOnlySpan<int> tokens, KvCache cache, Span<float> logits)
    {
        model.Evaluate(tokens, cache, logits);
        foreach (var logit in logits)
        {
            if (!float.IsFinite(logit))
                throw new FaultException(Fault.EngineFailed, $"the model '{description.Name}' computed a logit that is not a finite number");
        }
    }
}
