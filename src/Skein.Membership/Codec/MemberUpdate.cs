namespace Skein.Membership.Codec;

/// <summary>An update about one member: <c>MemberUpdate</c> in gossip.proto. Spans point into the packet.</summary>
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

    /// <summary>Carries name and address, so that a receiver that does not know this generation can add it.</summary>
    public readonly bool Introduces => !Name.IsEmpty;

    public static bool TryRead(ReadOnlySpan<byte> bytes, out MemberUpdate update)
    {
        update = default;
        var reader = new ProtoReader(bytes);
        while (reader.TryReadTag(out var field, out var type))
            reader.Accept((field, type) switch
            {
                (1, WireType.Fixed64) => reader.TryReadFixed64(out update.Id),
                (2, WireType.Varint) => reader.TryReadVarint(out update.Generation),
                (3, WireType.Varint) => reader.TryReadUInt32(out update.Incarnation),
                (4, WireType.Varint) => TryReadState(ref reader, out update.State),
                (5, WireType.Bytes) => reader.TryReadBytes(out update.Name) && MemberName.IsValid(update.Name),
                (6, WireType.Bytes) => reader.TryReadBytes(out var address) && PeerAddress.TryRead(address, out update.Address),
                (7, WireType.Bytes) => TryReadIds(ref reader, ref update.Accusers),
                (8, WireType.Bytes) => TryReadIds(ref reader, ref update.Refused),
                (9, WireType.Varint) => reader.TryReadUInt32(out update.MetadataSequence),
                (10, WireType.Bytes) => reader.TryReadBytes(out update.Metadata) && update.Metadata.Length <= WireLimits.MetadataBytes,
                (11, WireType.Varint) => reader.TryReadUInt32(out update.GoneSeconds),
                _ => reader.TrySkip(type),
            });
        return reader.AtEnd && update.Id != 0 && update.Generation != 0 && update.Name.IsEmpty == update.Address.IsNone;
    }

    public static bool TryReadState(scoped ref ProtoReader reader, out MemberState state)
    {
        var read = reader.TryReadUInt32(out var number);
        state = (MemberState)number;
        return read && number <= (uint)MemberState.Left;
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
        writer.PackedFixed64(7, Accusers.Ids);
        writer.PackedFixed64(8, Refused.Ids);
        writer.Varint(9, MetadataSequence);
        writer.Bytes(10, Metadata);
        writer.Varint(11, GoneSeconds);
        writer.EndMessage(start);
    }
}

/// <summary>The version of one member in a comparison of views: <c>MemberVersion</c> in gossip.proto.</summary>
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
        while (reader.TryReadTag(out var field, out var type))
            reader.Accept((field, type) switch
            {
                (1, WireType.Fixed64) => reader.TryReadFixed64(out version.Id),
                (2, WireType.Varint) => reader.TryReadVarint(out version.Generation),
                (3, WireType.Varint) => reader.TryReadUInt32(out version.Incarnation),
                (4, WireType.Varint) => MemberUpdate.TryReadState(ref reader, out version.State),
                (5, WireType.Varint) => reader.TryReadUInt32(out version.MetadataSequence),
                _ => reader.TrySkip(type),
            });
        return reader.AtEnd && version.Id != 0 && version.Generation != 0 && version.State != MemberState.None;
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

/// <summary>A load report of one member: <c>LoadUpdate</c> in gossip.proto.</summary>
internal struct LoadUpdate
{
    public ulong Id;
    public uint ShortGeneration;
    public uint Sequence;
    public uint InFlight;
    public uint Queued;

    /// <summary>The low 14 bits of a generation distinguish it from the previous one.</summary>
    public static uint Shorten(ulong generation) => (uint)generation & 0x3FFF;

    public readonly bool IsOf(ulong generation) => ShortGeneration == Shorten(generation);

    public static bool TryRead(ReadOnlySpan<byte> bytes, out LoadUpdate load)
    {
        load = default;
        var reader = new ProtoReader(bytes);
        while (reader.TryReadTag(out var field, out var type))
            reader.Accept((field, type) switch
            {
                (1, WireType.Fixed64) => reader.TryReadFixed64(out load.Id),
                (2, WireType.Varint) => reader.TryReadUInt32(out load.ShortGeneration),
                (3, WireType.Varint) => reader.TryReadUInt32(out load.Sequence),
                (4, WireType.Varint) => reader.TryReadUInt32(out load.InFlight),
                (5, WireType.Varint) => reader.TryReadUInt32(out load.Queued),
                _ => reader.TrySkip(type),
            });
        return reader.AtEnd && load.Id != 0 && load.Sequence != 0;
    }

    public readonly void WriteTo(ref ProtoWriter writer, int field)
    {
        var start = writer.BeginMessage(field, lengthBytes: 1);
        writer.Fixed64(1, Id);
        writer.Varint(2, ShortGeneration);
        writer.Varint(3, Sequence);
        writer.Varint(4, InFlight);
        writer.Varint(5, Queued);
        writer.EndMessage(start, lengthBytes: 1);
    }
}
