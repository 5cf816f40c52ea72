using Skein.Load.Measuring;
using Skein.Load.Targets;

namespace Skein.Load;

/// <summary>Asks as one client would, and holds every answer to a prompt against the first one. Safe for concurrent calls.</summary>
internal sealed class BenchClient(BenchOptions options, IBenchTarget target, TimeProvider time)
{
    private readonly ReferenceAnswers _references = new();

    /// <summary>Asks one prompt and counts how that ended.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled; nothing is counted.</exception>
    public async Task AskAsync(int prompt, BenchTally tally, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(options.RequestTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        var answer = new AnswerRecorder(time, tally.Latencies);
        BenchRequestException? error = null;
        try
        {
            await target.AskAsync(options.Prompts[prompt], answer, either.Token);
            SuspicionManager(prompt, answer);
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

    private void SuspicionManager(int prompt, AnswerRecorder answer)
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
