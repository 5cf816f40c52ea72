using System.Security.Cryptography;
using System.Text;

namespace Skein.Membership.Codec;

/// <summary>The unencrypted header of every packet; gossip.proto documents its layout.</summary>
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

    /// <summary>Reads a header; returns why the packet has none of this protocol.</summary>
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

    /// <summary>A 4-byte hash of the cluster's name. It detects configuration mistakes, not attacks.</summary>
    public static uint ClusterOf(string name) => BinaryPrimitives.ReadUInt32BigEndian(SHA256.HashData(Encoding.UTF8.GetBytes("skein-cluster:" + name)));
}

/// <summary>Names of members: 1 to 64 printable ASCII characters without spaces, so that logs, metrics and URLs can carry them.</summary>
internal static class MemberName
{
    public const string Allowed = "1 to 64 printable ASCII characters without spaces";

    public static bool IsValid(ReadOnlySpan<byte> name) =>
        name.Length is > 0 and <= WireLimits.NameBytes && !name.ContainsAnyExceptInRange((byte)0x21, (byte)0x7E);

    public static bool IsValid(string name) => Ascii.IsValid(name) && IsValid(Encoding.ASCII.GetBytes(name));

    /// <summary>The id of a member: an 8-byte hash of its name, never 0.</summary>
    public static ulong IdOf(string name) =>
        Math.Max(1, BinaryPrimitives.ReadUInt64BigEndian(SHA256.HashData(Encoding.UTF8.GetBytes("skein-member:" + name))));
}

internal enum PacketKind
{
    None = 0,
    Ping = 1,
    Ack = 2,
    PingRequest = 3,
    Nack = 4,
    Gossip = 5,
    Compare = 6,
    Versions = 7,
    Want = 8,
    Beacon = 9,
    Pull = 10,
    PushPull = 11,
    State = 12,
}

/// <summary>Limits of the protocol. A packet that exceeds one is dropped as a whole.</summary>
internal static class WireLimits
{
    /// <summary>Bytes of a datagram, header included: fits a 1,500-byte Ethernet frame with space for tunnels.</summary>
    public const int Datagram = 1400;

    /// <summary>Bytes of a TCP packet: fits 10,000 members with full metadata.</summary>
    public const int Stream = 8 << 20;

    public const int NameBytes = 64;
    public const int MetadataBytes = 512;
    public const int Accusers = 4;
    public const int Wanted = 128;
    public const int Buckets = 256;
}
