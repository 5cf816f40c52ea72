using Skein.Cli.Terminal;

namespace Skein.Cli.Commands;

/// <summary>Asks a gateway every second until Ctrl-C. A gateway that stops answering does not end the watch: it may be restarting.</summary>
internal static class GatewayWatch
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    /// <param name="show">Gets the newest answer, and the reason since the gateway does not answer; null: it does.</param>
    /// <exception cref="CommandFailedException">The first question was not answered.</exception>
    public static async Task RunAsync<T>(Func<CancellationToken, Task<T>> ask, Action<T, string?> show, TimeProvider time, CancellationToken cancellationToken)
    {
        using var period = new PeriodicTimer(Period, time);
        try
        {
            var answer = await ask(cancellationToken);
            var answeredAt = time.GetTimestamp();
            show(answer, null);
            while (await period.WaitForNextTickAsync(cancellationToken))
            {
                string? problem = null;
                try
                {
                    answer = await ask(cancellationToken);
                    answeredAt = time.GetTimestamp();
                }
                catch (CommandFailedException silent)
                {
                    problem = $"no answer for {time.GetElapsedTime(answeredAt).TotalSeconds:0} s: {silent.Message}";
                }
                show(answer, problem);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Ctrl-C ends the watch.
        }
    }

    /// <summary>The same until Ctrl-C.</summary>
    public static async Task RunAsync<T>(Func<CancellationToken, Task<T>> ask, Action<T, string?> show)
    {
        using var signal = new StopSignal(supervised: false);
        await RunAsync(ask, show, TimeProvider.System, signal.Stop);
    }
}
