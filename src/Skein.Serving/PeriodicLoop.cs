namespace Skein.Serving;

/// <summary>Repeats an action with a period.</summary>
public static class PeriodicLoop
{
    /// <summary>Runs until cancelled, and then ends without an exception.</summary>
    /// <param name="atOnce">Whether the action also runs before the first period.</param>
    public static async Task RunAsync(TimeSpan period, TimeProvider time, Func<Task> action, CancellationToken stoppingToken, bool atOnce = false)
    {
        using var timer = new PeriodicTimer(period, time);
        try
        {
            if (atOnce)
                await action();
            while (await timer.WaitForNextTickAsync(stoppingToken))
                await action();
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The host stops.
        }
    }
}
