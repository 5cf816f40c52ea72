namespace Skein.Routing.Fleet;

/// <summary>
/// What an engine itself reports, in slots: its queue, and its KV cache once it is nearly full. As the last report on a stream ages, what gossip says of the
/// cache takes its place. A value within its replica, because a pick looks at every replica. Used under the admission lock.
/// </summary>
internal struct EnginePressure
{
    /// <summary>Share of the KV cache, in thousandths, from which a server counts as loaded: soon it queues or preempts.</summary>
    private const uint FullCachePermille = 900;

    private const uint MostWaiting = 1_000_000;

    /// <summary>Half of the steps in which gossip reports the KV cache.</summary>
    private const double KvHalfStep = 1 / 16d;

    /// <summary>Age at which a report no longer counts. Longer than that of others' load, which changes more quickly.</summary>
    private static readonly TimeSpan Lifetime = TimeSpan.FromSeconds(5);

    private double _reported;
    private double _gossiped;
    private TimeSpan _reportedAt;

    /// <summary>Nothing is known yet.</summary>
    public EnginePressure() => _reportedAt = -Lifetime;

    public readonly double At(TimeSpan now)
    {
        if (_reported == 0 && _gossiped == 0)
            return 0;
        var share = Math.Clamp(1 - ((now - _reportedAt) / Lifetime), 0, 1);
        return (share * _reported) + ((1 - share) * _gossiped);
    }

    /// <summary>A report on a stream: input from outside.</summary>
    public void Report(LoadReport report, int slots, TimeSpan now) =>
        (_reported, _reportedAt) = (Math.Min(report.Waiting, MostWaiting) + OfCache(report.KvUsedPermille, slots), now);

    /// <param name="kvUsed">See <see cref="ReplicaDescription.KvUsed"/>.</param>
    public void Gossip(double kvUsed, int slots) => _gossiped = kvUsed == 0 ? 0 : OfCache(Math.Min(1, kvUsed + KvHalfStep) * 1000, slots);

    private static double OfCache(double usedPermille, int slots) =>
        (Math.Clamp(usedPermille, FullCachePermille, 1000) - FullCachePermille) / (1000d - FullCachePermille) * slots;
}
