namespace Skein.Membership.Codec;

/// <summary>
/// Reads the protobuf wire format from untrusted bytes. Never throws, allocates or reads past the end. Every method returns whether it
/// succeeded; after a failure the reader must not be used again. Written by hand because Google.Protobuf allocates.
/// </summary>
internal ref struct ProtoReader(ReadOnlySpan<byte> bytes)
{
    private ReadOnlySpan<byte> _rest = bytes;
    private bool _failed;

    /// <summary>All bytes were read, and every field was accepted.</summary>
    public readonly bool AtEnd => _rest.IsEmpty && !_failed;

    /// <summary>Returns false at the end, after a rejected field, and for an invalid tag: <see cref="AtEnd"/> distinguishes them.</summary>
    public bool TryReadTag(out int field, out WireType type)
    {
        (field, type) = (0, default);
        if (_failed || _rest.IsEmpty)
            return false;
        Accept(TryReadVarint(out var tag) && tag is > 7 and <= uint.MaxValue);
        (field, type) = ((int)(tag >> 3), (WireType)(tag & 7));
        return !_failed;
    }

    /// <summary>Notes whether a field was read and is valid. After a rejected one there are no more tags.</summary>
    public void Accept(bool read) => _failed |= !read;

    public bool TryReadVarint(out ulong value)
    {
        value = 0;
        for (var i = 0; i < _rest.Length && i < 10; i++)
        {
            var b = _rest[i];
            if (i == 9 && b > 1)
                return false;
            value |= (ulong)(b & 0x7F) << (7 * i);
            if (b < 0x80)
            {
                _rest = _rest[(i + 1)..];
                return true;
            }
        }
        return false;
    }

    public bool TryReadUInt32(out uint value)
    {
        var read = TryReadVarint(out var wide);
        value = (uint)wide;
        return read && wide <= uint.MaxValue;
    }

    public bool TryReadFixed64(out ulong value)
    {
        if (!BinaryPrimitives.TryReadUInt64LittleEndian(_rest, out value))
            return false;
        _rest = _rest[8..];
        return true;
    }

    public bool TryReadBytes(out ReadOnlySpan<byte> value)
    {
        value = default;
        if (!TryReadVarint(out var length) || length > (ulong)_rest.Length)
            return false;
        value = _rest[..(int)length];
        _rest = _rest[(int)length..];
        return true;
    }

    /// <summary>Skips an unknown field. Returns false for groups, which proto3 never writes.</summary>
    public bool TrySkip(WireType type)
    {
        switch (type)
        {
            case WireType.Varint:
                return TryReadVarint(out _);
            case WireType.Fixed64:
                return TryReadFixed64(out _);
            case WireType.Bytes:
                return TryReadBytes(out _);
            case WireType.Fixed32:
                if (_rest.Length < 4)
                    return false;
                _rest = _rest[4..];
                return true;
            default:
                return false;
        }
    }
}

internal enum WireType
{
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    Fixed32 = 5,
}
