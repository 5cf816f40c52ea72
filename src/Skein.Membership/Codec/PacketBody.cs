namespace Skein.Membership.Codec;

/// <summary>A packet (<c>GossipPacket</c> in gossip.proto), nested messages included, validated before any of it is applied. Spans point into it.</summary>
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
        body._bytes = bytes;
        var reader = new ProtoReader(bytes);
        while (reader.TryReadTag(out var field, out var type))
            reader.Accept((field, type) switch
            {
                (1, WireType.Varint) => TryReadKind(ref reader, out body.Kind),
                (2, WireType.Varint) => reader.TryReadUInt32(out body.Sequence),
                (3, WireType.Fixed64) => reader.TryReadFixed64(out body.Target),
                (4, WireType.Fixed64) => reader.TryReadFixed64(out body.Digest),
                (5, WireType.Bytes) => reader.TryReadBytes(out var address) && PeerAddress.TryRead(address, out body.TargetAddress),
                (UpdatesField, WireType.Bytes) => reader.TryReadBytes(out var update) && MemberUpdate.TryRead(update, out _),
                (LoadsField, WireType.Bytes) => reader.TryReadBytes(out var load) && LoadUpdate.TryRead(load, out _),
                (8, WireType.Bytes) => reader.TryReadBytes(out body.BucketDigests),
                (9, WireType.Bytes) => reader.TryReadBytes(out body.Buckets) && body.Buckets.Length <= WireLimits.Buckets,
                (VersionsField, WireType.Bytes) => reader.TryReadBytes(out var version) && MemberVersion.TryRead(version, out _),
                (11, WireType.Bytes) =>
                    reader.TryReadBytes(out body.Wanted) && body.Wanted.Length % 8 == 0 && body.Wanted.Length <= WireLimits.Wanted * 8,
                (12, WireType.Varint) => reader.TryReadUInt32(out body.BucketCount),
                _ => reader.TrySkip(type),
            });
        return reader.AtEnd && body.Kind != PacketKind.None && BucketsFit(body);
    }

    private static bool TryReadKind(scoped ref ProtoReader reader, out PacketKind kind)
    {
        var read = reader.TryReadUInt32(out var number);
        kind = (PacketKind)number;
        return read && number <= (uint)PacketKind.State;
    }

    private static bool BucketsFit(in PacketBody body) => body.Kind switch
    {
        PacketKind.Compare => body.BucketDigests.Length % 4 == 0 && IsBucketCount((uint)body.BucketDigests.Length / 4),
        PacketKind.Versions => IsBucketCount(body.BucketCount),
        _ => true,
    };

    private static bool IsBucketCount(uint count) => count is >= 16 and <= WireLimits.Buckets && BitOperations.IsPow2(count);

    public ref struct Nested(ReadOnlySpan<byte> bytes, int field)
    {
        private readonly int _field = field;
        private ProtoReader _reader = new(bytes);

        public bool TryNext(out ReadOnlySpan<byte> item)
        {
            while (_reader.TryReadTag(out var field, out var type))
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
