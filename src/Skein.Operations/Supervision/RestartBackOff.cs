namespace Skein.Operations.Supervision;

/// <summary>How long to wait before a member's next life: twice as long after each life that was short, up to 30 s. Pure; not thread-safe.</summary>
/// <param name="first">The wait after a life that was not short, and after the first short one.</param>
internal sealed class RestartBackOff(TimeSpan first)
{
    /// <summary>A life that was up for as long was healthy.</summary>
    public static readonly TimeSpan Healthy = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);

    /// <summary>Short lives in a row.</summary>
    public int ShortLives { get; private set; }

    /// <param name="upFor">How long the life that ended was up; 0 where it never came up.</param>
    public TimeSpan Next(TimeSpan upFor)
    {
        ShortLives = upFor < Healthy ? ShortLives + 1 : 0;
        var wait = first.TotalSeconds * Math.Pow(2, Math.Min(16, Math.Max(0, ShortLives - 1)));
        return TimeSpan.FromSeconds(Math.Min(wait, Math.Max(first.TotalSeconds, Longest.TotalSeconds)));
    }
}
