namespace Skein.Membership.Codec;

/// <summary>One line of a comparison, as <c>MemberVersion</c> in gossip.proto.</summary>
internal struct MemberVersion
{
    public ulong Id;
    public ulong Generation;
    public uint Incarnation;
    public MemberState State;
    public uint MetadataSequence;

    public static bool TryRead(ReadOnlySpan<byte> bytes, out MemberVersion version)
    {
        version = default;
        var reader = new ProtoReader(bytes);
        while (!reader.AtEnd)
        {
            if (!reader.TryReadTag(out var field, out var type))
                return false;
            var read = (field, type) switch
            {
                (1, WireType.Fixed64) => reader.TryReadFixed64(out version.Id),
                (2, WireType.Varint) => reader.TryReadVarint(out version.Generation),
                (3, WireType.Varint) => reader.TryReadUInt32(out version.Incarnation),
                (4, WireType.Varint) => reader.TryReadUInt32(out var state) && MemberUpdate.TryConvert(state, out version.State),
                (5, WireType.Varint) => reader.TryReadUInt32(out version.MetadataSequence),
                _ => reader.TrySkip(type),
            };
            if (!read)
                return false;
        }
        return version.Id != 0 && version.Generation != 0 && version.State != MemberState.None;
    }

    public readonly void WriteTo(ref ProtoWriter writer, int field)
    {
        var start = writer.BeginMessage(field);
        writer.Fixed64(1, Id);
        writer.Varint(2, Generation);
        writer.Varint(3, Incarnation);
        writer.Varint(4, (uint)State);
        writer.Varint(5, MetadataSequence);
        writer.EndMessage(start);
    }
}
