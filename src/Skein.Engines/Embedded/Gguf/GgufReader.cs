using System.Buffers.Binary;

namespace Skein.Engines.Embedded.Gguf;

/// <summary>Reads forward through a file's bytes and never past their end. <paramref name="file"/> is for errors only.</summary>
internal ref struct GgufReader(ReadOnlySpan<byte> bytes, string file)
{
    private readonly ReadOnlySpan<byte> _bytes = bytes;

    public int Position { get; private set; }

    /// <summary>What is being read, for errors.</summary>
    public string Key { get; set; } = "header";

    public readonly int Remaining => _bytes.Length - Position;

    public uint ReadUInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(sizeof(uint)));

    public ulong ReadUInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(sizeof(ulong)));

    public string ReadString() => Encoding.UTF8.GetString(Take(ReadCount(1)));

    /// <summary>Reads a number of elements: at most <paramref name="most"/>, and at most what fits the rest of the file.</summary>
    public int ReadCount(int bytesPerElement, int most = int.MaxValue)
    {
        var count = ReadUInt64();
        most = Math.Min(most, Remaining / bytesPerElement);
        return count <= (ulong)most ? (int)count : throw Wrong($"a length of {count}", $"at most {most} here");
    }

    /// <summary>Skips a metadata value and returns its position.</summary>
    public GgufValue ReadValue()
    {
        var type = ReadType();
        var isArray = type == GgufType.Array;
        if (isArray && (type = ReadType()) == GgufType.Array)
            throw Wrong("an array of arrays", "a value, or an array of values");

        var count = isArray ? ReadCount(SizeOf(type)) : 1;
        var offset = Position;
        Skip(type, count);
        return new GgufValue(type, isArray, offset, count);
    }

    public static int SizeOf(GgufType type) => type switch
    {
        GgufType.UInt8 or GgufType.Int8 or GgufType.Bool => 1,
        GgufType.UInt16 or GgufType.Int16 => 2,
        GgufType.UInt32 or GgufType.Int32 or GgufType.Float32 => 4,
        _ => 8, // 64-bit numbers, and the length in front of a string
    };

    public readonly ModelFileException Wrong(object value, string allowed) => new(file, Key, value, allowed);

    private GgufType ReadType()
    {
        var type = ReadUInt32();
        return type <= (uint)GgufType.Float64 ? (GgufType)type : throw Wrong($"of type {type}", "types 0 to 12");
    }

    private void Skip(GgufType type, int count)
    {
        if (type != GgufType.String)
        {
            Take(checked(SizeOf(type) * count));
            return;
        }

        for (var i = 0; i < count; i++)
            Take(ReadCount(1));
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count > Remaining)
            throw Wrong("cut off", $"{count} bytes at {Position}, but the file ends at {_bytes.Length}");

        var taken = _bytes.Slice(Position, count);
        Position += count;
        return taken;
    }
}
