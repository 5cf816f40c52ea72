namespace Skein.Routing.Health;

/// <summary>
/// The ramp of a replica that is new or back: it shapes the pick among free replicas, and never keeps a request waiting. Not thread-safe.
/// </summary>
internal sealed class SlowStart(SlowStartOptions options)
{
    private TimeSpan? _since;

    public void Begin(TimeSpan now) => _since = now;

    /// <summary>Share of its weight that the replica has now: 1 when it is warm.</summary>
    /// <param name="slots">Its slots: it never counts for less than one of them.</param>
    /// <param name="now">Current time.</param>
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
