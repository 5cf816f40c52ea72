using System.Buffers.Binary;
using Skein.Membership.Core;
using Skein.Membership.Codec;

namespace Skein.Membership.Tests.Hostile;

/// <summary>Datagrams of an attacker that recorded a sealed group and has no key.</summary>
internal enum Hostility
{
    RandomBytes,
    RandomBodyBehindAGenuineHeader,
    Truncated,
    Mutated,
    ForeignCluster,
    ForeignVersion,
    UnknownKey,
    WrongTagOfAKnownLife,
    WrongTagOfAnUnknownLife,
    Replayed,
    Oversized,
    NotSealed,
}

/// <summary>Creates hostile datagrams from genuine ones in its own buffer. Equal seeds give equal bytes.</summary>
internal sealed class HostileDatagrams(IReadOnlyList<byte[]> genuine, ulong seed)
{
    private readonly SeededRandom _random = new(seed);
    private readonly byte[] _buffer = new byte[WireLimits.Datagram + 1];
    private const int VersionAt = 1;
    private const int ClusterAt = 2;
    private const int GenerationAt = 14;

    /// <summary>The header, then key id and counter.</summary>
    private const int SealedHeader = PacketHeader.Length + 12;

    public static Hostility[] Kinds { get; } = Enum.GetValues<Hostility>();

    /// <summary>Valid until the next call.</summary>
    public ReadOnlySpan<byte> Next(Hostility kind)
    {
        var source = genuine[_random.Next(genuine.Count)];
        source.CopyTo(_buffer, 0);
        var packet = _buffer.AsSpan(0, source.Length);
        switch (kind)
        {
            case Hostility.RandomBytes:
                packet = _buffer.AsSpan(0, 2 + _random.Next(WireLimits.Datagram - 2));
                Fill(packet);
                break;
            case Hostility.RandomBodyBehindAGenuineHeader:
                packet = _buffer.AsSpan(0, SealedHeader + _random.Next(WireLimits.Datagram - SealedHeader));
                Fill(packet[SealedHeader..]);
                break;
            case Hostility.Truncated:
                packet = packet[..(2 + _random.Next(packet.Length - 2))];
                break;
            case Hostility.Mutated:
                packet[_random.Next(packet.Length)] ^= (byte)(1 + _random.Next(255));
                break;
            case Hostility.ForeignCluster:
                packet[ClusterAt + _random.Next(4)] ^= (byte)(1 + _random.Next(255));
                break;
            case Hostility.ForeignVersion:
                packet[VersionAt] ^= (byte)(1 + _random.Next(127));
                break;
            case Hostility.UnknownKey:
                packet[PacketHeader.Length + _random.Next(4)] ^= (byte)(1 + _random.Next(255));
                break;
            case Hostility.WrongTagOfAKnownLife:
                packet[^(1 + _random.Next(16))] ^= (byte)(1 + _random.Next(255));
                break;
            case Hostility.WrongTagOfAnUnknownLife:
                BinaryPrimitives.WriteUInt64BigEndian(packet[GenerationAt..], _random.NextUInt64());
                break;
            case Hostility.Oversized:
                packet = _buffer;
                break;
            case Hostility.NotSealed:
                packet[VersionAt] &= 0x7F;
                break;
        }
        return packet;
    }

    private void Fill(Span<byte> bytes)
    {
        for (; bytes.Length >= 8; bytes = bytes[8..])
            BinaryPrimitives.WriteUInt64LittleEndian(bytes, _random.NextUInt64());
        foreach (ref var b in bytes)
            b = (byte)_random.Next(256);
    }
}
