using System.Text;
using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>
/// What one life of a member says of itself. Immutable: the views of all members that run in one process, which are those of a simulation,
/// may share it.
/// </summary>
internal sealed record MemberFacts(string Name, ulong Generation, PeerAddress Address)
{
    public ulong Id { get; } = PacketHeader.MemberOf(Name);

    public byte[] NameBytes { get; } = Encoding.ASCII.GetBytes(Name);

    public uint MetadataSequence { get; init; }

    public byte[] Metadata { get; init; } = [];

    /// <summary>What a claim that introduces its member says; null where the name is not that of the id.</summary>
    public static MemberFacts? Read(in MemberUpdate claim)
    {
        var facts = new MemberFacts(Encoding.ASCII.GetString(claim.Name), claim.Generation, claim.Address)
        {
            MetadataSequence = claim.MetadataSequence,
            Metadata = claim.Metadata.ToArray(),
        };
        return facts.Id == claim.Id ? facts : null;
    }
}

/// <summary>Makes facts of a claim that introduces its member, as <see cref="MemberFacts.Read"/> does.</summary>
internal delegate MemberFacts? FactsReader(in MemberUpdate claim);
