using System.Collections.Immutable;

namespace Skein.Membership;

/// <summary>The group at one moment. Immutable, safe to share.</summary>
public sealed class MembershipSnapshot
{
    private readonly Lazy<Dictionary<string, Member>> _byName;

    internal MembershipSnapshot(long version, Member self, ImmutableArray<Member> members, ImmutableArray<SeedStatus> seeds)
    {
        (Version, Self, Members, Seeds) = (version, self, members, seeds);
        _byName = new(() => members.ToDictionary(static member => member.Name, StringComparer.Ordinal));
    }

    /// <summary>Rises with every snapshot of one member, from 1.</summary>
    public long Version { get; }

    /// <summary>The member that holds this snapshot.</summary>
    public Member Self { get; }

    /// <summary>All members by name, this one, the dead and those that left included, until they are forgotten.</summary>
    public ImmutableArray<Member> Members { get; }

    /// <summary>How it stands with the seeds, in configured order.</summary>
    public ImmutableArray<SeedStatus> Seeds { get; }

    /// <summary>The member of that name, or null.</summary>
    public Member? Find(string name) => _byName.Value.GetValueOrDefault(name);
}
