namespace Skein.Gateway.Admin;

/// <summary>Describes why a drain is not complete.</summary>
internal static class DrainBlock
{
    /// <returns>Null if no stream runs.</returns>
    public static string? Describe(MemberStatus draining, int running, TimeSpan graceLeft, IEnumerable<MemberStatus> group)
    {
        if (running == 0)
            return null;
        var streams = running == 1 ? "1 stream runs" : $"{running} streams run";
        var grace = graceLeft > TimeSpan.Zero
            ? string.Create(CultureInfo.InvariantCulture, $"{Math.Ceiling(graceLeft.TotalSeconds):0} s of grace left")
            : "the grace is over";
        return $"{streams}, {grace}, {Elsewhere(draining, group)}";
    }

    private static string Elsewhere(MemberStatus draining, IEnumerable<MemberStatus> group)
    {
        List<MemberStatus> others =
        [
            .. group.Where(other => other.Role == Roles.Replica && other.State == "alive" && !other.Draining && other.Name != draining.Name
                && other.Models.Intersect(draining.Models, StringComparer.Ordinal).Any()),
        ];
        if (others.Count == 0)
            return $"no other ready replica serves {string.Join(", ", draining.Models)}";
        var slots = others.Sum(other => (long)other.Slots);
        var free = others.Sum(other => Math.Max(0, (long)other.Slots - other.InFlight));
        return free == 0 ? $"no slot is free elsewhere ({slots} of {slots} in use)" : $"{free} of {slots} slots are free elsewhere";
    }
}
