namespace Skein.Routing.Health;

/// <summary>The rising weight of a new or returned replica. It affects picks, and never makes a request wait. Not thread-safe.</summary>
internal sealed class SlowStart(LiveHealth health)
{
    private TimeSpan? _since;

    public void Begin(TimeSpan now) => _since = now;

    /// <summary>The replica's current share of its weight: 1 after the slow start, and never less than the share of one slot.</summary>
    public double ShareAt(int slots, TimeSpan now)
    {
        if (_since is not { } since)
            return 1;
        var options = health.Current.SlowStart;
        if (now - since >= options.Duration)
        {
            _since = null;
            return 1;
        }
        var ramp = options.InitialShare + ((1 - options.InitialShare) * ((now - since) / options.Duration));
        return Math.Max(ramp, 1.0 / Math.Max(1, slots));
    }
}

/// <summary>
/// Additional load that counts for a replica that was far slower than another one, or failed: a replica that fails fast looks idle. It decays. It keeps most
/// requests away, so that the budgets of hedges and retries suffice, and lets a request through now and then. Used under the admission lock.
/// </summary>
/// <param name="halfLife">Time in which half of it is forgotten.</param>
internal sealed class Slowness(TimeSpan halfLife)
{
    /// <summary>Load of each event, in streams.</summary>
    private const double Charge = 8;

    private const double Most = 64;

    /// <summary>Less than this is forgotten: among idle replicas any load, however small, would decide.</summary>
    private const double Least = 0.5;

    private double _charged;
    private TimeSpan _chargedAt;

    public double At(TimeSpan now)
    {
        var left = _charged == 0 ? 0 : _charged * Math.Pow(0.5, Math.Max(0, (now - _chargedAt) / halfLife));
        return left < Least ? 0 : left;
    }

    /// <summary>The replica lost a race for the first token, a stream was moved away from it, or an attempt failed there.</summary>
    public void Add(TimeSpan now) => (_charged, _chargedAt) = (Math.Min(Most, At(now) + Charge), now);

    public void Clear() => _charged = 0;
}
