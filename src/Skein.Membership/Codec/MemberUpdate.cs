using Skein.Membership.Core;

namespace Skein.Membership.Codec;

/// <summary>A claim about one member, as <c>MemberUpdate</c> in gossip.proto; spans point into the packet.</summary>
internal ref struct MemberUpdate
{
    public ulong Id;
    public ulong Generation;
    public uint Incarnation;
    public MemberState State;
    public ReadOnlySpan<byte> Name;
    public PeerAddress Address;
    public AccuserSet Accusers;
    public AccuserSet Refused;
    public uint MetadataSequence;
    public ReadOnlySpan<byte> Metadata;
    public uint GoneSeconds;

    /// <summary>Whether a receiver that never heard of this life can take it from here.</summary>
    public readonly bool Introduces => !Name.IsEmpty;

    public static bool TryRead(ReadOnlySpan<byte> bytes, out MemberUpdate update)
    {
        update = default;
        MemberUpdate read = default;
        var reader = new ProtoReader(bytes);
        while (!reader.AtEnd)
            if (!reader.TryReadTag(out var field, out var type) || !TryReadField(ref reader, field, type, ref read))
                return false;
        update = read;
        return update.Id != 0 && update.Generation != 0 && update.Name.IsEmpty == update.Address.IsNone;
    }

    private static bool TryReadField(scoped ref ProtoReader reader, int field, WireType type, ref MemberUpdate update)
    {
        switch (field, type)
        {
            case (1, WireType.Fixed64):
                return reader.TryReadFixed64(out update.Id);
            case (2, WireType.Varint):
                return reader.TryReadVarint(out update.Generation);
            case (3, WireType.Varint):
                return reader.TryReadUInt32(out update.Incarnation);
            case (4, WireType.Varint):
                return reader.TryReadUInt32(out var state) && TryConvert(state, out update.State);
            case (5, WireType.Bytes):
                return reader.TryReadBytes(out update.Name) && MemberName.IsValid(update.Name);
            case (6, WireType.Bytes):
                return reader.TryReadBytes(out var address) && PeerAddress.TryRead(address, out update.Address);
            case (7, WireType.Bytes):
                return TryReadIds(ref reader, ref update.Accusers);
            case (8, WireType.Bytes):
                return TryReadIds(ref reader, ref update.Refused);
            case (9, WireType.Varint):
                return reader.TryReadUInt32(out update.MetadataSequence);
            case (10, WireType.Bytes):
                return reader.TryReadBytes(out update.Metadata) && update.Metadata.Length <= WireLimits.MetadataBytes;
            case (11, WireType.Varint):
                return reader.TryReadUInt32(out update.GoneSeconds);
            default:
                return reader.TrySkip(type);
        }
    }

    public static bool TryConvert(uint wire, out MemberState state)
    {
        state = (MemberState)wire;
        return wire <= (uint)MemberState.Left;
    }

    private static bool TryReadIds(scoped ref ProtoReader reader, ref AccuserSet ids)
    {
        if (!reader.TryReadBytes(out var packed) || packed.Length > WireLimits.Accusers * 8 || packed.Length % 8 != 0)
            return false;
        var inner = new ProtoReader(packed);
        while (!inner.AtEnd)
            if (!inner.TryReadFixed64(out var id) || (id != 0 && !ids.Add(id)))
                return false;
        return true;
    }

    public readonly void WriteTo(ref ProtoWriter writer, int field)
    {
        Span<byte> address = stackalloc byte[18];
        Span<ulong> ids = stackalloc ulong[WireLimits.Accusers];
        var start = writer.BeginMessage(field);
        writer.Fixed64(1, Id);
        writer.Varint(2, Generation);
        writer.Varint(3, Incarnation);
        writer.Varint(4, (uint)State);
        if (Introduces)
        {
            writer.Bytes(5, Name);
            writer.Bytes(6, address[..Address.WriteTo(address)]);
        }
        writer.PackedFixed64(7, ids[..Accusers.CopyTo(ids)]);
        writer.PackedFixed64(8, ids[..Refused.CopyTo(ids)]);
        writer.Varint(9, MetadataSequence);
        writer.Bytes(10, Metadata);
        writer.Varint(11, GoneSeconds);
        writer.EndMessage(start);
    }
}
