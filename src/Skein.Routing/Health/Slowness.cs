namespace Skein.Routing.Health;

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
