using Skein.Load.Measuring;
using Skein.Load.Targets;

namespace Skein.Load;

/// <summary>One run of a benchmark, from the first request to the report. Use once.</summary>
internal sealed class BenchRun(BenchOptions options, IBenchTarget target, TimeProvider time, Action<int>? onProgress)
{
    private readonly BenchClient _client = new(options, target, time);

    public async Task<BenchReport> RunAsync(CancellationToken cancellationToken)
    {
        var references = new BenchTally(time);
        await LoopAsync(options.Prompts.Count, references, null, cancellationToken);
        if (references.Succeeded == 0)
            throw new BenchException($"{options.Target} answered none of {options.Prompts.Count} reference requests; {references.Examples[0]}");
        await LoopAsync(options.WarmUpRequests, new BenchTally(time), null, cancellationToken);
        var measured = new BenchTally(time);
        await LoopAsync(options.Requests, measured, onProgress, cancellationToken);
        return measured.ToReport(options, target.Model);
    }

    private async Task LoopAsync(int requests, BenchTally tally, Action<int>? observer, CancellationToken cancellationToken)
    {
        var next = -1;
        var done = 0;

        async Task WorkAsync()
        {
            for (var i = Interlocked.Increment(ref next); i < requests; i = Interlocked.Increment(ref next))
            {
                await _client.AskAsync(i % options.Prompts.Count, tally, cancellationToken);
                observer?.Invoke(Interlocked.Increment(ref done));
            }
        }

        await Task.WhenAll(Enumerable.Range(0, Math.Min(options.Concurrency, requests)).Select(_ => WorkAsync()));
    }
}
