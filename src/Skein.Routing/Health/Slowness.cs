namespace Skein.Routing.Health;

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
