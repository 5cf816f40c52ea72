namespace Skein.EndToEnd.Support;

/// <summary>Waits for a condition, with a deadline and a message that names what was missing. All tests here wait this way.</summary>
internal static class Until
{
    /// <summary>Long enough for a busy machine. No test depends on its value.</summary>
    public static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(30);

    /// <summary>The deadline for the start of a process. Longer than the 60 s for which a supervisor waits for its members.</summary>
    public static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(75);

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    /// <summary>Polls until there is a result.</summary>
    /// <param name="look">Null: not yet.</param>
    /// <param name="what">What is waited for, as in "replica-1 is alive".</param>
    /// <param name="within">Deadline; default <see cref="DefaultTimeout"/>.</param>
    /// <param name="context">Added to the message of a failure.</param>
    public static async Task<T> FoundAsync<T>(Func<Task<T?>> look, string what, TimeSpan? within = null, Func<string>? context = null)
        where T : class
    {
        var limit = within ?? DefaultTimeout;
        var started = TimeProvider.System.GetTimestamp();
        while (true)
        {
            if (await look() is { } found)
                return found;
            if (TimeProvider.System.GetElapsedTime(started) > limit)
                throw new TimeoutException($"after {limit.TotalSeconds:0.#} s still not: {what}. {context?.Invoke()}");
            await Task.Delay(Pause, TimeProvider.System);
        }
    }

    public static Task TrueAsync(Func<bool> condition, string what, TimeSpan? within = null, Func<string>? context = null) =>
        FoundAsync(() => Task.FromResult(condition() ? "yes" : null), what, within, context);

    /// <summary>Waits for a task.</summary>
    public static async Task<T> DoneAsync<T>(Task<T> task, string what, TimeSpan? within = null, Func<string>? context = null)
    {
        var limit = within ?? DefaultTimeout;
        try
        {
            return await task.WaitAsync(limit, TimeProvider.System);
        }
        catch (TimeoutException late) when (!task.IsCompleted)
        {
            throw new TimeoutException($"after {limit.TotalSeconds:0.#} s still not: {what}. {context?.Invoke()}", late);
        }
    }
}
