using System.Text;

namespace Skein.Engines.Tests.Embedded;

/// <summary>Writes GGUF files, right ones and wrong ones.</summary>
internal sealed class GgufBuilder
{
    private const int Alignment = 32;

    private readonly List<(string Key, byte[] Value)> _metadata = [];
    private readonly List<(string Name, int[] Dimensions, uint Type, byte[] Data)> _tensors = [];

    public uint Version { get; init; } = 3;

    public GgufBuilder Set(string key, uint value) => Set(key, 4, writer => writer.Write(value));

    public GgufBuilder Set(string key, float value) => Set(key, 6, writer => writer.Write(value));

    public GgufBuilder Set(string key, bool value) => Set(key, 7, writer => writer.Write(value));

    public GgufBuilder Set(string key, string value) => Set(key, 8, writer => WriteText(writer, value));

    public GgufBuilder Set(string key, IReadOnlyCollection<string> values) => Set(key, 9, writer =>
    {
        writer.Write(8u);
        writer.Write((ulong)values.Count);
        foreach (var value in values)
        {
            WriteText(writer, value);
        }
    });

    public GgufBuilder Set(string key, IReadOnlyCollection<int> values) => Set(key, 9, writer =>
    {
        writer.Write(5u);
        writer.Write((ulong)values.Count);
        foreach (var value in values)
        {
            writer.Write(value);
        }
    });

    public GgufBuilder Remove(string key)
    {
        _metadata.RemoveAll(entry => entry.Key == key);
        _tensors.RemoveAll(tensor => tensor.Name == key);
        return this;
    }

    /// <summary>Adds a tensor, F32 or F16; the innermost dimension comes first.</summary>
    public GgufBuilder Tensor(string name, float[] values, bool isHalf, params int[] dimensions)
    {
        var data = isHalf
            ? values.SelectMany(value => BitConverter.GetBytes((Half)value)).ToArray()
            : values.SelectMany(BitConverter.GetBytes).ToArray();
        return Tensor(name, isHalf ? 1u : 0u, data, dimensions);
    }

    public GgufBuilder Tensor(string name, uint type, byte[] data, params int[] dimensions)
    {
        Remove(name);
        _tensors.Add((name, dimensions, type, data));
        return this;
    }

    public byte[] ToBytes()
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write("GGUF"u8);
        writer.Write(Version);
        writer.Write((ulong)_tensors.Count);
        writer.Write((ulong)_metadata.Count);
        foreach (var (key, value) in _metadata)
        {
            WriteText(writer, key);
            writer.Write(value);
        }

        var offset = 0;
        foreach (var (name, dimensions, type, data) in _tensors)
        {
            WriteText(writer, name);
            writer.Write((uint)dimensions.Length);
            foreach (var dimension in dimensions)
            {
                writer.Write((ulong)dimension);
            }

            writer.Write(type);
            writer.Write((ulong)offset);
            offset = Align(offset + data.Length);
        }

        foreach (var (_, _, _, data) in _tensors)
        {
            writer.Write(new byte[Align((int)stream.Position) - (int)stream.Position]);
            writer.Write(data);
        }

        writer.Flush();
        return stream.ToArray();
    }

    private GgufBuilder Set(string key, uint type, Action<BinaryWriter> write)
    {
        Remove(key);
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write(type);
        write(writer);
        writer.Flush();
        _metadata.Add((key, stream.ToArray()));
        return this;
    }

    private static void WriteText(BinaryWriter writer, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((ulong)bytes.Length);
        writer.Write(bytes);
    }

    private static int Align(int offset) => (offset + Alignment - 1) / Alignment * Alignment;
}
