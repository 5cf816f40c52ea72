namespace Skein.Membership.Wire;

/// <summary>Puts the header on packets and takes it off, and refuses what is foreign before anything else is read.</summary>
internal sealed class PacketSeal(uint cluster, ulong self)
{
    /// <summary>Bytes that a sealed packet has between header and body.</summary>
    public int Prefix { get; }

    /// <summary>Bytes that a sealed packet has after the body.</summary>
    public int Trailer { get; }

    /// <summary>Completes a packet whose body ends at <paramref name="end"/>; answers its whole length.</summary>
    public int Close(Span<byte> packet, int end, ulong generation)
    {
        new PacketHeader(cluster, self, generation, Sealed: false).WriteTo(packet);
        return end;
    }

    /// <summary>Answers the body of a packet of this cluster; false for anything else.</summary>
    public bool TryOpen(ReadOnlySpan<byte> packet, out PacketHeader header, out ReadOnlySpan<byte> body)
    {
        body = default;
        if (!PacketHeader.TryRead(packet, out header) || header.Cluster != cluster || header.Sealed || header.Sender == 0)
            return false;
        body = packet[PacketHeader.Length..];
        return true;
    }
}
