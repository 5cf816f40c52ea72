namespace Skein.Operations.Supervision;

/// <summary>Delay before a member is restarted: doubled after each consecutive short run, up to 30 s. Pure; not thread-safe.</summary>
/// <param name="first">Delay after a run that was not short, and after the first short run.</param>
internal sealed class RestartBackOff(TimeSpan first)
{
    /// <summary>A run that was ready for less than this is short.</summary>
    public static readonly TimeSpan Healthy = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);

    public int ShortRuns { get; private set; }

    /// <param name="readyFor">How long the last run was ready; 0 if it never was.</param>
    public TimeSpan Next(TimeSpan readyFor)
    {
        ShortRuns = readyFor < Healthy ? ShortRuns + 1 : 0;
        var wait = first.TotalSeconds * Math.Pow(2, Math.Min(16, Math.Max(0, ShortRuns - 1)));
        return TimeSpan.FromSeconds(Math.Min(wait, Math.Max(first.TotalSeconds, Longest.TotalSeconds)));
    }
}
