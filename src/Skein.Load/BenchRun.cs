using Skein.Load.Measuring;
using Skein.Load.Targets;

namespace Skein.Load;

/// <summary>One benchmark from its first request to its report. Runs once.</summary>
internal sealed class BenchRun(BenchOptions options, IBenchTarget target, TimeProvider time, IProgress<BenchProgress>? progress)
{
    private readonly ReferenceAnswers _references = new();

    public async Task<BenchReport> RunAsync(CancellationToken cancellationToken)
    {
        var references = new BenchTally(time);
        await LoopAsync(options.Prompts.Count, references, null, cancellationToken);
        if (references.Succeeded == 0)
        {
            throw new BenchException($"{options.Target} answered none of {options.Prompts.Count} reference requests; {references.Examples[0]}");
        }

        await LoopAsync(options.WarmUpRequests, new BenchTally(time), null, cancellationToken);
        var measured = new BenchTally(time);
        await LoopAsync(options.Requests, measured, progress, cancellationToken);
        return measured.ToReport(options, target.Model);
    }

    /// <summary>As many workers as may run at the same time take one request after the other.</summary>
    private async Task LoopAsync(int requests, BenchTally tally, IProgress<BenchProgress>? told, CancellationToken cancellationToken)
    {
        var next = -1;
        var done = 0;

        async Task WorkAsync()
        {
            for (var i = Interlocked.Increment(ref next); i < requests; i = Interlocked.Increment(ref next))
            {
                await AskAsync(i % options.Prompts.Count, tally, cancellationToken);
                told?.Report(new BenchProgress(Interlocked.Increment(ref done), requests));
            }
        }

        await Task.WhenAll(Enumerable.Range(0, Math.Min(options.Concurrency, requests)).Select(_ => WorkAsync()));
    }

    private async Task AskAsync(int prompt, BenchTally tally, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(options.RequestTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        var answer = new AnswerRecorder(time, tally.Latencies);
        BenchRequestException? error = null;
        try
        {
            await target.AskAsync(options.Prompts[prompt], answer, either.Token);
            Judge(prompt, answer);
            answer.OnSuccess();
        }
        catch (BenchRequestException exception)
        {
            error = exception;
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            error = new BenchRequestException(BenchErrors.Timeout, $"no end within {options.RequestTimeout}", exception);
        }

        tally.Add(answer, error);
    }

    private void Judge(int prompt, AnswerRecorder answer)
    {
        if (!answer.IsComplete)
        {
            throw new BenchRequestException(BenchErrors.Truncated, $"prompt {prompt}: ended after {answer.Tokens} tokens without a finish or its end mark");
        }

        if (options.CheckExactness)
        {
            _references.Check(prompt, answer.Text);
        }
    }
}
