using System.Runtime.CompilerServices;
using Skein.Engines.Embedded.Chat;
using Skein.Engines.Embedded.Generation;
using Skein.Engines.Embedded.Model;
using Skein.Engines.Embedded.Tokens;
using Skein.Protocol.V1;

namespace Skein.Engines.Embedded;

/// <summary>
/// Serves one model. A stream runs on the pool thread that reads it, and gives way after every token and every block of its prompt: no threads
/// of its own, nothing that spins.
/// </summary>
internal sealed class EmbeddedInferenceEngine(
    ModelDescription description,
    LlamaModel model,
    Vocabulary vocabulary,
    ChatFormat? chat,
    double tokensPerSecond,
    TimeProvider time,
    Func<ulong> drawSeed) : IInferenceEngine
{
    private readonly RequestPlanner _planner = new(description, vocabulary, chat, drawSeed);

    public string Kind => EmbeddedEngine.Kind;

    public ValueTask<EngineDescription> DescribeAsync(CancellationToken cancellationToken) =>
        ValueTask.FromResult(new EngineDescription([description.Clone()], Slots: null));

    public async IAsyncEnumerable<GenerateFrame> GenerateAsync(GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var plan = _planner.Plan(request);
        var answer = new Answer(plan, vocabulary);
        yield return StartFrame(plan, answer);

        if (!answer.IsComplete)
        {
            using var cache = model.NewCache();
            var logits = new float[vocabulary.Count];
            await PrefillAsync([.. plan.Prompt, .. answer.Ids], cache, logits, cancellationToken);
            var pace = new Pace(tokensPerSecond, time);
            while (answer.Advance(logits) is { } frame)
            {
                await pace.WaitAsync(cancellationToken);
                yield return frame;
                if (answer.IsComplete)
                {
                    break;
                }

                Evaluate([answer.Ids[^1]], cache, logits);
            }
        }

        yield return answer.Finish();
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private GenerateFrame StartFrame(GenerationPlan plan, Answer answer) => new()
    {
        FirstIndex = (uint)answer.Ids.Count,
        Start = new Start
        {
            Model = description.Name,
            Fingerprint = description.Fingerprint,
            Unit = description.Unit,
            ResumeTier = description.ResumeTier,
            PromptTokens = (uint)plan.Prompt.Length,
            PromptTokenIds = { plan.Prompt.Select(id => (uint)id) },
            ResumedAt = (uint)answer.Ids.Count,
        },
    };

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

    private void Evaluate(ReadOnlySpan<int> tokens, KvCache cache, Span<float> logits)
    {
        model.Evaluate(tokens, cache, logits);
        foreach (var logit in logits)
        {
            if (!float.IsFinite(logit))
            {
                throw new EngineException(EngineError.Failed, $"the model '{description.Name}' gave a logit that is no finite number");
            }
        }
    }
}
