namespace Skein.Routing.Health;

/// <summary>The weight ramp of a replica that is new or back. It affects picks, and never makes a request wait. Not thread-safe.</summary>
internal sealed class SlowStart(SlowStartOptions options)
{
    private TimeSpan? _since;

    public void Begin(TimeSpan now) => _since = now;

    /// <summary>The replica's current share of its weight: 1 when it is warm, and never less than one of its slots.</summary>
    public double ShareAt(int slots, TimeSpan now)
    {
        if (_since is not { } since)
            return 1;
        if (now - since >= options.Duration)
        {
            _since = null;
            return 1;
        }
        var ramp = options.InitialShare + ((1 - options.InitialShare) * ((now - since) / options.Duration));
        return Math.Max(ramp, 1.0 / slots);
    }
}
