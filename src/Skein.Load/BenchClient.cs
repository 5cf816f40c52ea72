using System.Collections.Concurrent;
using Skein.Load.Measuring;
using Skein.Load.Targets;

namespace Skein.Load;

/// <summary>Sends requests and compares every answer to a prompt with the first one. Safe for concurrent calls.</summary>
internal sealed class BenchClient(BenchOptions options, IBenchTarget target, TimeProvider time)
{
    private const int ShownChars = 40;

    private readonly ConcurrentDictionary<int, string> _references = new();

    /// <exception cref="OperationCanceledException">The token was cancelled; nothing is recorded.</exception>
    public async Task AskAsync(int prompt, BenchTally tally, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(options.RequestTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        var answer = new AnswerRecorder(time, tally.Latencies);
        BenchRequestException? error = null;
        try
        {
            await target.AskAsync(options.Prompts[prompt], answer, either.Token);
            Check(prompt, answer);
            answer.OnSuccess();
        }
        catch (BenchRequestException exception)
        {
            error = exception;
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            error = new BenchRequestException(BenchErrors.Timeout, $"the answer did not end within {options.RequestTimeout}", exception);
        }

        tally.Add(answer, error);
    }

    private void Check(int prompt, AnswerRecorder answer)
    {
        if (!answer.IsComplete)
        {
            throw new BenchRequestException(
                BenchErrors.Truncated, $"prompt {prompt}: the stream ended after {answer.Tokens} tokens without a finish reason or an end marker");
        }

        var reference = options.CheckExactness ? _references.GetOrAdd(prompt, answer.Text) : answer.Text;
        if (reference == answer.Text)
            return;
        var at = reference.AsSpan().CommonPrefixLength(answer.Text);
        throw new BenchRequestException(
            BenchErrors.Diverged, $"prompt {prompt}: differs at character {at}: expected \"{Show(reference, at)}\", got \"{Show(answer.Text, at)}\"");
    }

    private static string Show(string text, int at) => text[at..Math.Min(text.Length, at + ShownChars)].ReplaceLineEndings(" ");
}
