using System.Buffers.Binary;
using System.Numerics;

namespace Skein.Routing;

/// <summary>A fast hash that is the same in every process, so that gateways agree without talking. It does not resist collisions made on purpose.</summary>
internal static class StableHash
{
    private const ulong Multiplier = 0x9FB21C651E98DF25;

    public static ulong Of(ReadOnlySpan<byte> bytes, ulong seed = 0)
    {
        var hash = seed ^ ((ulong)bytes.Length * Multiplier);
        while (bytes.Length >= sizeof(ulong))
        {
            hash = BitOperations.RotateLeft((hash ^ BinaryPrimitives.ReadUInt64LittleEndian(bytes)) * Multiplier, 29);
            bytes = bytes[sizeof(ulong)..];
        }
        ulong rest = 0;
        for (var i = 0; i < bytes.Length; i++)
            rest |= (ulong)bytes[i] << (8 * i);
        return SeededRandomSource.Mix((hash ^ rest) * Multiplier);
    }

    public static ulong Of(ReadOnlySpan<char> text, ulong seed = 0)
    {
        var hash = seed ^ ((ulong)text.Length * Multiplier);
        foreach (var character in text)
            hash = BitOperations.RotateLeft((hash ^ character) * Multiplier, 29);
        return SeededRandomSource.Mix(hash);
    }
}
