namespace Skein.Membership.Codec;

/// <summary>Bounds that every decoder holds; a packet that breaks one is dropped whole.</summary>
internal static class WireLimits
{
    /// <summary>Bytes of a datagram, header included: what passes a 1,500-byte Ethernet with room for tunnels.</summary>
    public const int Datagram = 1400;

    /// <summary>Bytes of a TCP packet: 10,000 members with full metadata fit.</summary>
    public const int Stream = 8 << 20;

    public const int NameBytes = 64;
    public const int MetadataBytes = 512;
    public const int Accusers = 4;
    public const int Wanted = 128;
    public const int Buckets = 256;
}

/// <summary>What a packet is for; the numbers of gossip.proto.</summary>
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
