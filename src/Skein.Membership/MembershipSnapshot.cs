namespace Skein.Membership;

/// <summary>The group at one moment, as one member sees it. Immutable and thread-safe.</summary>
public sealed class MembershipSnapshot
{
    private readonly Lazy<Dictionary<string, Member>> _byName;

    internal MembershipSnapshot(long version, Member self, ImmutableArray<Member> members, ImmutableArray<SeedStatus> seeds)
    {
        (Version, Self, Members, Seeds) = (version, self, members, seeds);
        _byName = new(() => members.ToDictionary(static member => member.Name, StringComparer.Ordinal));
    }

    /// <summary>Increases with every snapshot of one member, from 1.</summary>
    public long Version { get; }

    /// <summary>The member whose view this is.</summary>
    public Member Self { get; }

    /// <summary>All members by name. Contains this one, and dead and left ones until their tombstones expire.</summary>
    public ImmutableArray<Member> Members { get; }

    /// <summary>The status of the seeds, in configured order.</summary>
    public ImmutableArray<SeedStatus> Seeds { get; }

    public Member? Find(string name) => _byName.Value.GetValueOrDefault(name);
}

/// <summary>The status of one seed.</summary>
/// <param name="Address">As configured.</param>
/// <param name="Reached">The last request to it was answered.</param>
/// <param name="Problem">Why the last request failed; null if it succeeded or none was made yet.</param>
public sealed record SeedStatus(string Address, bool Reached, string? Problem);
