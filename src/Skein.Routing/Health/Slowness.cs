namespace Skein.Routing.Health;

/// <summary>
/// Virtual load that a replica is charged for having been far slower than another one; it decays. It keeps most requests away, so that the
/// budget of hedges suffices, and lets one through now and then to find out whether the replica is still slow. Used under the admission lock.
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
