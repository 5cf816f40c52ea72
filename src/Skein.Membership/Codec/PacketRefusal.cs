using System.Buffers.Binary;

namespace Skein.Membership.Codec;

/// <summary>
/// The answer over TCP to a request that cannot be opened: a header and a key id, and nothing else. Both stand in the clear in every packet.
/// Whoever gets it finds it unreadable for the reason that made us refuse, and can name that reason to its operator.
/// </summary>
internal static class PacketRefusal
{
    private const int KeyIdBytes = 4;

    /// <summary>Whether the sender of such a packet may be a member that is set up wrongly; anything else gets no answer.</summary>
    public static bool IsWorthwhile(DropCause cause) =>
        cause is DropCause.Version or DropCause.Cluster or DropCause.SealMissing or DropCause.UnknownKey;

    /// <summary>Answers the length.</summary>
    /// <param name="keyId">Of the key that this member seals with; null where it has none.</param>
    public static int Write(Span<byte> packet, uint cluster, ulong self, ulong generation, uint? keyId)
    {
        new PacketHeader(cluster, self, generation, Sealed: keyId is not null).WriteTo(packet);
        if (keyId is not { } id)
            return PacketHeader.Length;
        BinaryPrimitives.WriteUInt32BigEndian(packet[PacketHeader.Length..], id);
        return PacketHeader.Length + KeyIdBytes;
    }

    /// <summary>Why this answer could not be read, in words for an operator.</summary>
    public static string Explain(DropCause cause, ReadOnlySpan<byte> packet, uint? keyId) => cause switch
    {
        DropCause.UnknownKey => $"it answers with gossip key {PacketSeal.KeyIdOf(packet):x8}, which this member does not have (its own is {keyId:x8})",
        DropCause.SealMissing when keyId is null => "it answers sealed with a gossip key, and this member has none",
        DropCause.SealMissing => $"it answers without a gossip key, and this member has one ({keyId:x8})",
        DropCause.Cluster => "it answers as a member of a cluster with another name",
        DropCause.Version => "it answers in another version of the gossip protocol",
        // It named a key that we have, and said no more.
        DropCause.Malformed when packet.Length == PacketHeader.Length + KeyIdBytes && keyId is not null =>
            $"it does not have gossip key {keyId:x8}, which this member seals with",
        _ => $"its answer cannot be read ({cause})",
    };
}
