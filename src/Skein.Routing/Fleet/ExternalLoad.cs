namespace Skein.Routing.Fleet;

/// <summary>
/// Load that other gateways put on a replica, from its report, less our share at that report, believed less as it ages: acting on stale
/// "least loaded" news is worse than chance (Mitzenmacher, How Useful Is Old Information?, 2000).
/// </summary>
internal readonly struct ExternalLoad(int slots, TimeSpan reportedAt)
{
    /// <summary>Age at which a report counts for nothing.</summary>
    internal static readonly TimeSpan Lifetime = TimeSpan.FromSeconds(1);

    /// <summary>The moment it speaks of.</summary>
    internal TimeSpan ReportedAt => reportedAt;

    /// <summary>The estimate at <paramref name="now"/>: the reported value, falling in a straight line to 0.</summary>
    internal double At(TimeSpan now)
    {
        var age = (now - reportedAt) / Lifetime;
        return age >= 1 ? 0 : slots * (1 - Math.Max(0, age));
    }
}
