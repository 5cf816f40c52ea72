using System.Buffers.Binary;

namespace Skein.Engines.Embedded.Gguf;

/// <summary>A file's keys and values. Getters refuse a value of the wrong type or range with <see cref="ModelFileException"/>.</summary>
internal sealed class GgufMetadata(string file, ReadOnlyMemory<byte> bytes, IReadOnlyDictionary<string, GgufValue> values)
{
    public IEnumerable<string> Keys => values.Keys;

    public string Text(string key) => TextOrNull(key) ?? throw Wrong(key, "missing", "a text");

    public string? TextOrNull(string key) =>
        Find(key, isArray: false, GgufType.String, "a text") is { } value ? ReaderAt(value).ReadString() : null;

    public string[] Texts(string key)
    {
        var value = Find(key, isArray: true, GgufType.String, "a list of texts") ?? throw Wrong(key, "missing", "a list of texts");
        var reader = ReaderAt(value);
        var texts = new string[value.Count];
        for (var i = 0; i < texts.Length; i++)
            texts[i] = reader.ReadString();
        return texts;
    }

    public int Integer(string key, int minimum, int maximum) =>
        IntegerOrNull(key, minimum, maximum) ?? throw Wrong(key, "missing", $"{minimum} to {maximum}");

    public int? IntegerOrNull(string key, int minimum, int maximum)
    {
        if (Find(key, isArray: false) is not { } value)
            return null;

        var number = IntegerAt(key, value, 0);
        return number >= minimum && number <= maximum ? (int)number : throw Wrong(key, number, $"{minimum} to {maximum}");
    }

    public long[]? IntegersOrNull(string key)
    {
        if (Find(key, isArray: true) is not { } value)
            return null;

        var numbers = new long[value.Count];
        for (var i = 0; i < numbers.Length; i++)
            numbers[i] = IntegerAt(key, value, i);

        return numbers;
    }

    public float? NumberOrNull(string key, double minimum, double maximum)
    {
        if (Find(key, isArray: false) is not { } value)
            return null;

        var span = bytes.Span[value.Offset..];
        var number = value.Type switch
        {
            GgufType.Float32 => BinaryPrimitives.ReadSingleLittleEndian(span),
            GgufType.Float64 => BinaryPrimitives.ReadDoubleLittleEndian(span),
            _ => throw Wrong(key, $"of type {value.Type}", "a number with a fraction"),
        };
        return number >= minimum && number <= maximum ? (float)number : throw Wrong(key, number, $"{minimum} to {maximum}");
    }

    public bool? FlagOrNull(string key) =>
        Find(key, isArray: false, GgufType.Bool, "true or false") is { } value ? bytes.Span[value.Offset] != 0 : null;

    public ModelFileException Wrong(string key, object? value, string allowed) => new(file, key, value, allowed);

    private long IntegerAt(string key, GgufValue value, int index)
    {
        var span = bytes.Span[(value.Offset + (index * GgufReader.SizeOf(value.Type)))..];
        return value.Type switch
        {
            GgufType.UInt8 => span[0],
            GgufType.Int8 => (sbyte)span[0],
            GgufType.UInt16 => BinaryPrimitives.ReadUInt16LittleEndian(span),
            GgufType.Int16 => BinaryPrimitives.ReadInt16LittleEndian(span),
            GgufType.UInt32 => BinaryPrimitives.ReadUInt32LittleEndian(span),
            GgufType.Int32 => BinaryPrimitives.ReadInt32LittleEndian(span),
            GgufType.UInt64 => (long)Math.Min(BinaryPrimitives.ReadUInt64LittleEndian(span), long.MaxValue),
            GgufType.Int64 => BinaryPrimitives.ReadInt64LittleEndian(span),
            _ => throw Wrong(key, $"of type {value.Type}", "a whole number"),
        };
    }

    private GgufValue? Find(string key, bool isArray, GgufType? type = null, string allowed = "")
    {
        if (!values.TryGetValue(key, out var value))
            return null;
        if (value.IsArray == isArray && (type is null || value.Type == type))
            return value;
        var kind = value.IsArray == isArray ? allowed : isArray ? "a list" : "one value";
        throw Wrong(key, value.IsArray ? $"a list of type {value.Type}" : $"of type {value.Type}", kind);
    }

    private GgufReader ReaderAt(GgufValue value) => new(bytes.Span[value.Offset..], file);
}
