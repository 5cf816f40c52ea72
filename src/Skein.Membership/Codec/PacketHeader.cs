using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Skein.Membership.Codec;

/// <summary>The clear header of every packet; its layout is told in gossip.proto. What does not match is dropped before parsing.</summary>
internal readonly record struct PacketHeader(uint Cluster, ulong Sender, ulong Generation, bool Sealed)
{
    public const int Length = 22;
    private const byte Magic = 0x5B;
    private const byte Version = 1;
    private const byte SealedFlag = 0x80;

    public void WriteTo(Span<byte> packet)
    {
        packet[0] = Magic;
        packet[1] = (byte)(Version | (Sealed ? SealedFlag : 0));
        BinaryPrimitives.WriteUInt32BigEndian(packet[2..], Cluster);
        BinaryPrimitives.WriteUInt64BigEndian(packet[6..], Sender);
        BinaryPrimitives.WriteUInt64BigEndian(packet[14..], Generation);
    }

    /// <summary>Answers why these bytes have no header of ours, or none.</summary>
    public static DropCause Read(ReadOnlySpan<byte> packet, out PacketHeader header)
    {
        header = default;
        if (packet.Length < Length || packet[0] != Magic)
            return DropCause.Malformed;
        if ((packet[1] & ~SealedFlag) != Version)
            return DropCause.Version;
        header = new PacketHeader(
            BinaryPrimitives.ReadUInt32BigEndian(packet[2..]),
            BinaryPrimitives.ReadUInt64BigEndian(packet[6..]),
            BinaryPrimitives.ReadUInt64BigEndian(packet[14..]),
            (packet[1] & SealedFlag) != 0);
        return DropCause.None;
    }

    /// <summary>Identifies a cluster by its name in 4 bytes: protects from mistakes, not from enemies.</summary>
    public static uint ClusterOf(string name) => BinaryPrimitives.ReadUInt32BigEndian(Hash("skein-cluster:" + name));

    /// <summary>Identifies a member by its name in 8 bytes. Never 0.</summary>
    public static ulong MemberOf(string name) => Math.Max(1, BinaryPrimitives.ReadUInt64BigEndian(Hash("skein-member:" + name)));

    private static byte[] Hash(string text) => SHA256.HashData(Encoding.UTF8.GetBytes(text));
}
