namespace Skein.Routing.Fleet;

/// <summary>
/// Load that other gateways put on a replica: its report minus this gateway's share. Its weight decays linearly to zero over
/// <see cref="Lifetime"/>, because balancing by old loads is worse than chance (Mitzenmacher, How Useful Is Old Information?, 2000).
/// </summary>
internal readonly struct ExternalLoad(int slots, TimeSpan reportedAt)
{
    /// <summary>Age at which a report counts nothing: 1 s.</summary>
    internal static readonly TimeSpan Lifetime = TimeSpan.FromSeconds(1);

    /// <summary>When the load was reported.</summary>
    internal TimeSpan ReportedAt => reportedAt;

    /// <summary>The estimate at <paramref name="now"/>.</summary>
    internal double At(TimeSpan now)
    {
        var age = (now - reportedAt) / Lifetime;
        return age >= 1 ? 0 : slots * (1 - Math.Max(0, age));
    }
}
