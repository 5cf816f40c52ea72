namespace Skein.Routing.Health;

/// <summary>
/// What a replica is charged with for having been far slower than another one: load that is not there, which fades. It keeps most requests
/// away, so that a budget of hedges suffices, and lets one through now and then that finds out whether it still is. Touched under the
/// admission lock only.
/// </summary>
internal struct Slowness
{
    /// <summary>Streams that each event weighs.</summary>
    private const double Charge = 8;

    private const double Most = 64;
    private static readonly TimeSpan HalfLife = TimeSpan.FromSeconds(10);

    private double _charged;
    private TimeSpan _chargedAt;

    /// <summary>The load it is charged with now.</summary>
    public readonly double At(TimeSpan now) => _charged == 0 ? 0 : _charged * Math.Pow(0.5, Math.Max(0, (now - _chargedAt) / HalfLife));

    /// <summary>It lost a race for the first token, or was left as a straggler.</summary>
    public void Add(TimeSpan now) => (_charged, _chargedAt) = (Math.Min(Most, At(now) + Charge), now);
}
