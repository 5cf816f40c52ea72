namespace Skein.Membership.Codec;

/// <summary>IP address and port as a value: equality and copying do not allocate. IPv4 addresses are stored in their mapped form.</summary>
internal readonly record struct PeerAddress(UInt128 IPv6, ushort Port)
{
    private const ulong MappedPrefix = 0x0000_FFFF_0000_0000;

    public bool IsNone => Port == 0;

    public bool IsIPv4 => IPv6 >> 32 == MappedPrefix >> 32;

    public uint IPv4 => (uint)IPv6;

    public static PeerAddress OfIPv4(uint address, ushort port) => new(MappedPrefix | address, port);

    public static PeerAddress From(IPEndPoint endpoint)
    {
        Span<byte> bytes = stackalloc byte[16];
        endpoint.Address.MapToIPv6().TryWriteBytes(bytes, out _);
        return new PeerAddress(BinaryPrimitives.ReadUInt128BigEndian(bytes), (ushort)endpoint.Port);
    }

    public IPEndPoint ToEndPoint()
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, IPv6);
        var address = new IPAddress(bytes);
        return new IPEndPoint(IsIPv4 ? address.MapToIPv4() : address, Port);
    }

    /// <summary>Writes the wire form, 4 or 16 bytes of address and 2 of port; returns its length.</summary>
    public int WriteTo(Span<byte> bytes)
    {
        var length = IsIPv4 ? 4 : 16;
        if (IsIPv4)
            BinaryPrimitives.WriteUInt32BigEndian(bytes, IPv4);
        else
            BinaryPrimitives.WriteUInt128BigEndian(bytes, IPv6);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[length..], Port);
        return length + 2;
    }

    public static bool TryRead(ReadOnlySpan<byte> bytes, out PeerAddress address)
    {
        address = default;
        if (bytes.Length == 6)
            address = OfIPv4(BinaryPrimitives.ReadUInt32BigEndian(bytes), BinaryPrimitives.ReadUInt16BigEndian(bytes[4..]));
        else if (bytes.Length == 18)
            address = new PeerAddress(BinaryPrimitives.ReadUInt128BigEndian(bytes), BinaryPrimitives.ReadUInt16BigEndian(bytes[16..]));
        return !address.IsNone;
    }

    public override string ToString() => ToEndPoint().ToString();
}
