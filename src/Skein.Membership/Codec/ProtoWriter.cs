using System.Diagnostics;

namespace Skein.Membership.Codec;

/// <summary>
/// Writes the protobuf wire format into a fixed span; zero and empty values are omitted. A lack of space sets <see cref="Overflowed"/>. Generated code
/// cannot stop at a size and allocates for each datagram. The tests compare the bytes with those of generated code.
/// </summary>
internal ref struct ProtoWriter(Span<byte> buffer, int position)
{
    private readonly Span<byte> _buffer = buffer;

    public int Position { get; private set; } = position;

    public bool Overflowed { get; private set; }

    public void RewindTo(int position)
    {
        Debug.Assert(position <= Position, "a rewind goes back");
        Position = position;
        Overflowed = false;
    }

    /// <summary>Removes what was written since that position if it did not fit; returns whether it fits.</summary>
    public bool RewindOverflow(int position)
    {
        var fits = !Overflowed;
        if (!fits)
            RewindTo(position);
        return fits;
    }

    public void Varint(int field, ulong value)
    {
        if (value == 0)
            return;
        Tag(field, WireType.Varint);
        RawVarint(value);
    }

    public void Fixed64(int field, ulong value)
    {
        if (value == 0)
            return;
        Tag(field, WireType.Fixed64);
        RawFixed64(value);
    }

    public void Bytes(int field, scoped ReadOnlySpan<byte> value)
    {
        if (value.IsEmpty)
            return;
        Tag(field, WireType.Bytes);
        RawVarint((ulong)value.Length);
        if (Reserve(value.Length))
        {
            value.CopyTo(_buffer[Position..]);
            Position += value.Length;
        }
    }

    public void PackedFixed64(int field, scoped ReadOnlySpan<ulong> values)
    {
        if (values.IsEmpty)
            return;
        Tag(field, WireType.Bytes);
        RawVarint((ulong)values.Length * 8);
        foreach (var value in values)
            RawFixed64(value);
    }

    /// <summary>Begins a nested message. One reserved length byte suffices for 127 bytes, two for 16,383, so that no content has to move.</summary>
    public int BeginMessage(int field, int lengthBytes = 2)
    {
        Tag(field, WireType.Bytes);
        if (Reserve(lengthBytes))
            Position += lengthBytes;
        return Position;
    }

    public void EndMessage(int start, int lengthBytes = 2)
    {
        var length = Position - start;
        Debug.Assert(length < 1 << (7 * lengthBytes), "the length fits the reserved bytes");
        if (Overflowed)
            return;
        _buffer[start - lengthBytes] = (byte)(lengthBytes == 2 ? length | 0x80 : length);
        if (lengthBytes == 2)
            _buffer[start - 1] = (byte)(length >> 7);
    }

    private void Tag(int field, WireType type) => RawVarint(((uint)field << 3) | (uint)type);

    private void RawVarint(ulong value)
    {
        // Seven bits a byte.
        if (!Reserve(BitOperations.Log2(value | 1) / 7 + 1))
            return;
        for (; value >= 0x80; value >>= 7)
            _buffer[Position++] = (byte)(value | 0x80);
        _buffer[Position++] = (byte)value;
    }

    private void RawFixed64(ulong value)
    {
        if (!Reserve(8))
            return;
        BinaryPrimitives.WriteUInt64LittleEndian(_buffer[Position..], value);
        Position += 8;
    }

    private bool Reserve(int count)
    {
        if (Overflowed || _buffer.Length - Position < count)
            Overflowed = true;
        return !Overflowed;
    }
}
