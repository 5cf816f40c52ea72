using System.Buffers.Binary;
using System.Net;

namespace Skein.Membership.Codec;

/// <summary>IP address and port as a value: equality and copying do not allocate. IPv4 addresses are stored in their mapped form.</summary>
internal readonly record struct PeerAddress(ulong High, ulong Low, ushort Port)
{
    private const ulong MappedPrefix = 0x0000_FFFF_0000_0000;

    public bool IsNone => Port == 0;

    public bool IsIPv4 => High == 0 && (Low & 0xFFFF_FFFF_0000_0000) == MappedPrefix;

    public uint IPv4 => (uint)Low;

    public static PeerAddress OfIPv4(uint address, ushort port) => new(0, MappedPrefix | address, port);

    public static PeerAddress From(IPEndPoint endpoint)
    {
        Span<byte> bytes = stackalloc byte[16];
        endpoint.Address.MapToIPv6().TryWriteBytes(bytes, out _);
        return new PeerAddress(
            BinaryPrimitives.ReadUInt64BigEndian(bytes), BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]), (ushort)endpoint.Port);
    }

    public IPEndPoint ToEndPoint()
    {
        Span<byte> bytes = stackalloc byte[16];
        WriteIPv6(bytes);
        var address = new IPAddress(bytes);
        return new IPEndPoint(IsIPv4 ? address.MapToIPv4() : address, Port);
    }

    public void WriteIPv6(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt64BigEndian(bytes, High);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[8..], Low);
    }

    /// <summary>Writes the wire form, 4 or 16 bytes of address and 2 of port; returns its length.</summary>
    public int WriteTo(Span<byte> bytes)
    {
        var length = IsIPv4 ? 4 : 16;
        if (IsIPv4)
            BinaryPrimitives.WriteUInt32BigEndian(bytes, IPv4);
        else
            WriteIPv6(bytes);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[length..], Port);
        return length + 2;
    }

    /// <summary>Reads the wire form; returns false for another length and for port 0.</summary>
    public static bool TryRead(ReadOnlySpan<byte> bytes, out PeerAddress address)
    {
        address = default;
        if (bytes.Length == 6)
            address = OfIPv4(BinaryPrimitives.ReadUInt32BigEndian(bytes), BinaryPrimitives.ReadUInt16BigEndian(bytes[4..]));
        else if (bytes.Length == 18)
            address = new PeerAddress(
                BinaryPrimitives.ReadUInt64BigEndian(bytes),
                BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]),
                BinaryPrimitives.ReadUInt16BigEndian(bytes[16..]));
        return !address.IsNone;
    }

    public override string ToString() => ToEndPoint().ToString();
}
