namespace Skein.Routing.Health;

/// <summary>The rising weight of a new or returned replica. It affects picks, and never makes a request wait. Not thread-safe.</summary>
internal sealed class SlowStart(SlowStartOptions options)
{
    private TimeSpan? _since;

    public void Begin(TimeSpan now) => _since = now;

    /// <summary>The replica's current share of its weight: 1 after the slow start, and never less than the share of one slot.</summary>
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
