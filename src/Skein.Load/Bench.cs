using Skein.Load.Measuring;
using Skein.Load.Targets;

namespace Skein.Load;

/// <summary>Measures what clients of a server see under a closed loop of load.</summary>
public static class Bench
{
    /// <summary>Requests a reference answer for every prompt, warms up, then measures. Failed requests are counted, not thrown.</summary>
    /// <param name="onProgress">Receives the number of finished requests after each measured one, from any thread; may be null.</param>
    /// <param name="cancellationToken">Ends the run without a report.</param>
    /// <exception cref="ArgumentException">A setting is out of its range.</exception>
    /// <exception cref="BenchException">The target answered no reference request, or lists no model.</exception>
    public static async Task<BenchReport> RunAsync(
        BenchOptions options, TimeProvider time, Action<int>? onProgress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(time);
        options.Validate();
        using var target = await OpenAsync(options, time, cancellationToken);
        return await MeasureAsync(options, target, time, onProgress, cancellationToken);
    }

    internal static async Task<BenchReport> MeasureAsync(
        BenchOptions options, IBenchTarget target, TimeProvider time, Action<int>? onProgress, CancellationToken cancellationToken)
    {
        var client = new BenchClient(options, target, time);
        var references = new BenchTally(time);
        await LoopAsync(options.Prompts.Count, references, null);
        if (references.Succeeded == 0)
            throw new BenchException($"{options.Target} answered none of {options.Prompts.Count} reference requests; {references.Examples[0]}");
        await LoopAsync(options.WarmUpRequests, new BenchTally(time), null);
        var measured = new BenchTally(time);
        await LoopAsync(options.Requests, measured, onProgress);
        return measured.ToReport(options, target.Model);

        async Task LoopAsync(int requests, BenchTally tally, Action<int>? observer)
        {
            var (next, done) = (-1, 0);
            await Task.WhenAll(Enumerable.Range(0, Math.Min(options.Concurrency, requests)).Select(async _ =>
            {
                for (var i = Interlocked.Increment(ref next); i < requests; i = Interlocked.Increment(ref next))
                {
                    await client.AskAsync(i % options.Prompts.Count, tally, cancellationToken);
                    observer?.Invoke(Interlocked.Increment(ref done));
                }
            }));
        }
    }

    internal static async Task<IBenchTarget> OpenAsync(BenchOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        if (options.Target.Scheme is "grpc" or "grpcs")
            return new SkeinTarget(options);
        using var timeout = new CancellationTokenSource(options.RequestTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            return await OpenAiTarget.OpenAsync(options, either.Token);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new BenchException($"{options.Target} did not list its models within {options.RequestTimeout}", exception);
        }
    }
}
