using System.Numerics;
using Skein.Membership.Core;

namespace Skein.Membership.Codec;

/// <summary>
/// A validated packet, as <c>GossipPacket</c> in gossip.proto; spans point into the received bytes. <see cref="TryRead"/> checks every
/// nested message first, so that a malformed packet changes nothing; <see cref="Items"/> then walks over them.
/// </summary>
internal ref struct PacketBody
{
    public PacketKind Kind;
    public uint Sequence;
    public ulong Target;
    public ulong Digest;
    public PeerAddress TargetAddress;
    public ReadOnlySpan<byte> BucketDigests;
    public ReadOnlySpan<byte> Buckets;
    public ReadOnlySpan<byte> Wanted;
    public uint BucketCount;
    private ReadOnlySpan<byte> _bytes;

    public const int UpdatesField = 6;
    public const int LoadsField = 7;
    public const int VersionsField = 10;

    public readonly Nested Items(int field) => new(_bytes, field);

    public static bool TryRead(ReadOnlySpan<byte> bytes, out PacketBody body)
    {
        body = default;
        PacketBody read = default;
        var reader = new ProtoReader(bytes);
        while (!reader.AtEnd)
            if (!reader.TryReadTag(out var field, out var type) || !TryReadField(ref reader, field, type, ref read))
                return false;
        body = read;
        body._bytes = bytes;
        return body.Kind != PacketKind.None && BucketsFit(body);
    }

    private static bool TryReadField(scoped ref ProtoReader reader, int field, WireType type, ref PacketBody body)
    {
        switch (field, type)
        {
            case (1, WireType.Varint):
                var read = reader.TryReadUInt32(out var kind);
                body.Kind = (PacketKind)kind;
                return read && kind <= (uint)PacketKind.State;
            case (2, WireType.Varint):
                return reader.TryReadUInt32(out body.Sequence);
            case (3, WireType.Fixed64):
                return reader.TryReadFixed64(out body.Target);
            case (4, WireType.Fixed64):
                return reader.TryReadFixed64(out body.Digest);
            case (5, WireType.Bytes):
                return reader.TryReadBytes(out var address) && PeerAddress.TryRead(address, out body.TargetAddress);
            case (UpdatesField, WireType.Bytes):
                return reader.TryReadBytes(out var update) && MemberUpdate.TryRead(update, out _);
            case (LoadsField, WireType.Bytes):
                return reader.TryReadBytes(out var load) && LoadUpdate.TryRead(load, out _);
            case (8, WireType.Bytes):
                return reader.TryReadBytes(out body.BucketDigests);
            case (9, WireType.Bytes):
                return reader.TryReadBytes(out body.Buckets) && body.Buckets.Length <= WireLimits.Buckets;
            case (VersionsField, WireType.Bytes):
                return reader.TryReadBytes(out var version) && MemberVersion.TryRead(version, out _);
            case (11, WireType.Bytes):
                return reader.TryReadBytes(out body.Wanted) && body.Wanted.Length % 8 == 0 && body.Wanted.Length <= WireLimits.Wanted * 8;
            case (12, WireType.Varint):
                return reader.TryReadUInt32(out body.BucketCount);
            default:
                return reader.TrySkip(type);
        }
    }

    private static bool BucketsFit(in PacketBody body) => body.Kind switch
    {
        PacketKind.Compare => body.BucketDigests.Length % 4 == 0 && IsBucketCount((uint)body.BucketDigests.Length / 4),
        PacketKind.Versions => IsBucketCount(body.BucketCount),
        _ => true,
    };

    private static bool IsBucketCount(uint count) => count is >= 16 and <= WireLimits.Buckets && BitOperations.IsPow2(count);

    /// <summary>Walks over the nested messages of one field of a packet that was validated before.</summary>
    public ref struct Nested(ReadOnlySpan<byte> bytes, int field)
    {
        private readonly int _field = field;
        private ProtoReader _reader = new(bytes);

        public bool TryNext(out ReadOnlySpan<byte> item)
        {
            while (!_reader.AtEnd && _reader.TryReadTag(out var field, out var type))
            {
                if (field == _field && type == WireType.Bytes)
                    return _reader.TryReadBytes(out item);
                if (!_reader.TrySkip(type))
                    break;
            }
            item = default;
            return false;
        }
    }
}
