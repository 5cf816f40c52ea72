namespace Skein.Engines.Embedded.Gguf;

/// <summary>Types of metadata values (GGUF specification, ggml-org/ggml docs/gguf.md).</summary>
internal enum GgufType
{
    UInt8 = 0,
    Int8 = 1,
    UInt16 = 2,
    Int16 = 3,
    UInt32 = 4,
    Int32 = 5,
    Float32 = 6,
    Bool = 7,
    String = 8,
    Array = 9,
    UInt64 = 10,
    Int64 = 11,
    Float64 = 12,
}

/// <summary>Where a metadata value lies in the file; its bounds were checked when the file was opened.</summary>
/// <param name="Type">Type of the value, or of its elements if it is an array.</param>
/// <param name="Offset">Offset of its first byte in the file.</param>
/// <param name="Count">Number of elements; 1 if it is not an array.</param>
internal readonly record struct GgufValue(GgufType Type, bool IsArray, int Offset, int Count);

/// <summary>Types of tensors this engine reads; their numbers in the file.</summary>
internal enum GgufTensorType
{
    F32 = 0,
    F16 = 1,
}

/// <summary>Where a tensor lies in the file; its bounds were checked when the file was opened.</summary>
/// <param name="Rows">1 for a vector.</param>
/// <param name="Columns">Length of a row; rows follow each other without a gap.</param>
/// <param name="Offset">Offset of its first byte in the file.</param>
internal sealed record GgufTensor(GgufTensorType Type, int Rows, int Columns, int Offset);
