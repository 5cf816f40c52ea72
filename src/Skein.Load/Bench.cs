using Skein.Load.Measuring;
using Skein.Load.Targets;

namespace Skein.Load;

/// <summary>How far a benchmark is.</summary>
/// <param name="Done">Measured requests that have ended.</param>
/// <param name="Total">All that will be measured.</param>
public readonly record struct BenchProgress(int Done, int Total);

/// <summary>Puts a server under a closed loop of load, and measures what its clients would see.</summary>
public static class Bench
{
    /// <summary>
    /// Asks every prompt once for its reference answer, warms up, then measures. Requests that fail are counted, never thrown.
    /// </summary>
    /// <param name="options">Who is asked for what.</param>
    /// <param name="time">Measures, and gives up on requests.</param>
    /// <param name="progress">Told after every measured request, from any thread; null: nobody.</param>
    /// <param name="cancellationToken">Ends the run without a report.</param>
    /// <exception cref="ArgumentException">A setting is out of its range.</exception>
    /// <exception cref="BenchException">The target answers not one of the reference requests, or knows no model.</exception>
    public static async Task<BenchReport> RunAsync(
        BenchOptions options, TimeProvider time, IProgress<BenchProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(time);
        options.Validate();
        using var target = await OpenAsync(options, time, cancellationToken);
        return await new BenchRun(options, target, time, progress).RunAsync(cancellationToken);
    }

    internal static async Task<IBenchTarget> OpenAsync(BenchOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        if (options.Target.Scheme is "grpc" or "grpcs")
        {
            return new SkeinTarget(options);
        }

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
