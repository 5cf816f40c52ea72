using Skein.Membership.Core;
using Skein.Membership.Codec;

namespace Skein.Simulation.Membership;

/// <summary>Gives all views of a simulation the same copy of what a life says of itself; otherwise each would make its own.</summary>
internal sealed class SharedFacts
{
    private readonly Dictionary<(ulong Id, ulong Generation), MemberFacts> _lives = [];

    /// <summary>As <see cref="MemberFacts.Read"/>.</summary>
    public MemberFacts? Read(in MemberUpdate claim)
    {
        if (_lives.TryGetValue((claim.Id, claim.Generation), out var known) && Says(claim, known))
            return known;
        var facts = MemberFacts.Read(claim);
        if (facts is not null)
            _lives[(facts.Id, facts.Generation)] = facts;
        return facts;
    }

    private static bool Says(in MemberUpdate claim, MemberFacts known) =>
        claim.Name.SequenceEqual(known.NameBytes) && claim.Address == known.Address
        && claim.MetadataSequence == known.MetadataSequence && claim.Metadata.SequenceEqual(known.Metadata);
}
