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

/// <summary>
/// Additional load that counts for a replica that was far slower than another one. It decays. It keeps most requests away, so that the budget of hedges
/// suffices, and lets a request through now and then, which shows whether the replica is still slow. Used under the admission lock.
/// </summary>
internal sealed class Slowness
{
    /// <summary>Load of each event, in streams.</summary>
    private const double Charge = 8;

    private const double Most = 64;
    private static readonly TimeSpan HalfLife = TimeSpan.FromSeconds(10);

    private double _charged;
    private TimeSpan _chargedAt;

    public double At(TimeSpan now) => _charged == 0 ? 0 : _charged * Math.Pow(0.5, Math.Max(0, (now - _chargedAt) / HalfLife));

    /// <summary>The replica lost a race for the first token, or a stream was moved away from it.</summary>
    public void Add(TimeSpan now) => (_charged, _chargedAt) = (Math.Min(Most, At(now) + Charge), now);
}
