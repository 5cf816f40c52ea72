using System.Buffers.Binary;
using System.Security.Cryptography;
using Skein.Routing;

namespace Skein.Gateway;

/// <summary>
/// The system's cryptographic randomness: ids of sessions and requests must not be guessed. Drawn in blocks, because a request needs about forty bytes in
/// several pieces, and each call of the generator costs more than a microsecond. Thread-safe.
/// </summary>
internal sealed class SystemRandomSource : IRandomSource
{
    private const int BlockBytes = 1024;

    [ThreadStatic]
    private static byte[]? _block;

    [ThreadStatic]
    private static int _left;

    public ulong NextUInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(sizeof(ulong)));

    /// <summary>128 random bits as 32 lower-case hexadecimal digits.</summary>
    public static string NextHexId() => Convert.ToHexStringLower(Take(16));

    // Valid until the next call on this thread.
    private static ReadOnlySpan<byte> Take(int bytes)
    {
        var block = _block ??= new byte[BlockBytes];
        if (_left < bytes)
        {
            RandomNumberGenerator.Fill(block);
            _left = block.Length;
        }

        _left -= bytes;
        return block.AsSpan(_left, bytes);
    }
}
