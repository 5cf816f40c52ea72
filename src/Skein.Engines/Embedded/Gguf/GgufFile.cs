using System.Buffers.Binary;

namespace Skein.Engines.Embedded.Gguf;

/// <summary>
/// An opened GGUF file, version 2 or 3, little-endian (GGUF specification: ggml-org/ggml docs/gguf.md). Nothing is copied until it is
/// read. Every length and offset was checked against the file's size, so that a hostile file cannot cause allocations beyond its own size: this is
/// why the reader is part of Skein.
/// </summary>
internal sealed class GgufFile(string path, ReadOnlyMemory<byte> bytes, GgufMetadata metadata, Dictionary<string, GgufTensor> tensors)
{
    private const uint Magic = 0x46554747; // "GGUF"
    private const int LeastBytesPerEntry = 8 + 4 + 1;
    private const int LeastBytesPerTensor = 8 + 4 + 8 + 4 + 8;
    private const int MaxEntries = 65_536;

    public GgufMetadata Metadata => metadata;

    public IEnumerable<string> TensorNames => tensors.Keys;

    /// <exception cref="ModelFileException">The bytes are not a readable GGUF file.</exception>
    public static GgufFile Open(string path, ReadOnlyMemory<byte> bytes)
    {
        var reader = new GgufReader(bytes.Span, path) { Key = "magic" };
        var magic = reader.ReadUInt32();
        if (magic != Magic)
            throw reader.Wrong($"0x{magic:x8}", $"0x{Magic:x8} (\"GGUF\")");

        reader.Key = "version";
        var version = reader.ReadUInt32();
        if (version is not (2 or 3))
            throw reader.Wrong(version, "2 or 3, little-endian");

        reader.Key = "tensor count";
        var tensorCount = reader.ReadCount(LeastBytesPerTensor, MaxEntries);
        reader.Key = "metadata count";
        var metadata = new GgufMetadata(path, bytes, ReadMetadata(ref reader, reader.ReadCount(LeastBytesPerEntry, MaxEntries)));
        var alignment = metadata.IntegerOrNull("general.alignment", 1, 1 << 20) ?? 32;
        return new GgufFile(path, bytes, metadata, ReadTensors(ref reader, tensorCount, alignment, bytes.Length));
    }

    public bool HasTensor(string name) => tensors.ContainsKey(name);

    /// <summary>Copies a tensor's numbers, widened to 32 bits.</summary>
    /// <exception cref="ModelFileException">It is missing, has another shape, or contains a number that is not finite.</exception>
    public float[] Read(string name, int rows, int columns)
    {
        if (!tensors.TryGetValue(name, out var tensor))
            throw WrongTensor(name, "missing", $"{rows} rows of {columns}");

        if ((tensor.Rows, tensor.Columns) != (rows, columns))
            throw WrongTensor(name, $"{tensor.Rows} rows of {tensor.Columns}", $"{rows} rows of {columns}");

        var numbers = new float[rows * columns];
        var source = bytes.Span[tensor.Offset..];
        for (var i = 0; i < numbers.Length; i++)
        {
            numbers[i] = tensor.Type == GgufTensorType.F32
                ? BinaryPrimitives.ReadSingleLittleEndian(source[(4 * i)..])
                : (float)BinaryPrimitives.ReadHalfLittleEndian(source[(2 * i)..]);
            if (!float.IsFinite(numbers[i]))
                throw WrongTensor(name, $"{numbers[i]} at {i}", "finite numbers");
        }

        return numbers;
    }

    public ModelFileException WrongTensor(string name, object value, string allowed) => new(path, "tensor " + name, value, allowed);

    private static Dictionary<string, GgufValue> ReadMetadata(ref GgufReader reader, int count)
    {
        var values = new Dictionary<string, GgufValue>(StringComparer.Ordinal);
        for (var i = 0; i < count; i++)
        {
            reader.Key = $"metadata key {i}";
            var key = reader.ReadString();
            reader.Key = key;
            if (!values.TryAdd(key, reader.ReadValue()))
                throw reader.Wrong("given twice", "every key once");
        }

        return values;
    }

    private static Dictionary<string, GgufTensor> ReadTensors(ref GgufReader reader, int count, int alignment, int fileLength)
    {
        var entries = new List<(string Name, long Rows, long Columns, GgufTensorType Type, ulong Offset)>();
        for (var i = 0; i < count; i++)
        {
            reader.Key = $"tensor {i}";
            var name = reader.ReadString();
            reader.Key = "tensor " + name;
            var (rows, columns) = ReadShape(ref reader);
            var type = reader.ReadUInt32();
            if (type > (uint)GgufTensorType.F16)
                throw reader.Wrong($"of type {type}", "types 0 (F32) and 1 (F16); quantized files are not read");

            entries.Add((name, rows, columns, (GgufTensorType)type, reader.ReadUInt64()));
        }

        var dataStart = ((long)reader.Position + alignment - 1) / alignment * alignment;
        var tensors = new Dictionary<string, GgufTensor>(StringComparer.Ordinal);
        foreach (var (name, rows, columns, type, offset) in entries)
        {
            reader.Key = "tensor " + name;
            var available = Math.Max(0, fileLength - dataStart);
            var size = rows * columns * (type == GgufTensorType.F32 ? 4 : 2);
            if (size > available || offset > (ulong)(available - size) || offset % (ulong)alignment != 0)
                throw reader.Wrong($"{size} bytes at {offset}", $"a place within the {available} bytes of data, at a multiple of {alignment}");

            if (!tensors.TryAdd(name, new GgufTensor(type, (int)rows, (int)columns, (int)(dataStart + (long)offset))))
                throw reader.Wrong("given twice", "every tensor once");
        }

        return tensors;
    }

    // Dimensions come innermost first. Limited to 2^28 numbers, so that no product overflows.
    private static (long Rows, long Columns) ReadShape(ref GgufReader reader)
    {
        var dimensions = reader.ReadUInt32();
        if (dimensions is not (1 or 2))
            throw reader.Wrong($"of {dimensions} dimensions", "1 or 2");

        var columns = reader.ReadUInt64();
        var rows = dimensions == 2 ? reader.ReadUInt64() : 1;
        const ulong Most = 1 << 28;
        return columns is > 0 and <= Most && rows is > 0 and <= Most && rows * columns <= Most
            ? ((long)rows, (long)columns)
            : throw reader.Wrong($"{rows} rows of {columns}", $"1 to {Most} numbers");
    }
}
