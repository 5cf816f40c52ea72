namespace Skein.Membership.Codec;

/// <summary>Load of one member, as <c>LoadUpdate</c> in gossip.proto.</summary>
internal struct LoadUpdate
{
    public ulong Id;
    public uint Life;
    public uint Sequence;
    public uint InFlight;
    public uint Queued;

    /// <summary>Enough of a generation to tell a life from the one before it.</summary>
    public static uint LifeOf(ulong generation) => (uint)generation & 0x3FFF;

    public static bool TryRead(ReadOnlySpan<byte> bytes, out LoadUpdate load)
    {
        load = default;
        var reader = new ProtoReader(bytes);
        while (!reader.AtEnd)
        {
            if (!reader.TryReadTag(out var field, out var type))
                return false;
            var read = (field, type) switch
            {
                (1, WireType.Fixed64) => reader.TryReadFixed64(out load.Id),
                (2, WireType.Varint) => reader.TryReadUInt32(out load.Life),
                (3, WireType.Varint) => reader.TryReadUInt32(out load.Sequence),
                (4, WireType.Varint) => reader.TryReadUInt32(out load.InFlight),
                (5, WireType.Varint) => reader.TryReadUInt32(out load.Queued),
                _ => reader.TrySkip(type),
            };
            if (!read)
                return false;
        }
        return load.Id != 0 && load.Sequence != 0;
    }

    public readonly void WriteTo(ref ProtoWriter writer, int field)
    {
        var start = writer.BeginMessage(field, lengthBytes: 1);
        writer.Fixed64(1, Id);
        writer.Varint(2, Life);
        writer.Varint(3, Sequence);
        writer.Varint(4, InFlight);
        writer.Varint(5, Queued);
        writer.EndMessage(start, lengthBytes: 1);
    }
}
