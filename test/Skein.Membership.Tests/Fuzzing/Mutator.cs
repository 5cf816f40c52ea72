using Skein.Membership.Core;
using Skein.Membership.Codec;

namespace Skein.Membership.Tests.Fuzzing;

/// <summary>Mutates packets: flips, cuts, extends, duplicates, splices, and inserts numbers at the limits of decoders.</summary>
internal static class Mutator
{
    private static readonly byte[] Edges = [0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF];

    /// <summary>Half of the mutations change content, half change bytes, mostly after the header.</summary>
    public static byte[] Mutate(IReadOnlyList<byte[]> corpus, SeededRandom random)
    {
        byte[] bytes = [.. corpus[random.Next(corpus.Count)]];
        if (random.Next(2) == 0)
            return Reshaper.Reshape(bytes, random);
        var from = random.Next(16) == 0 ? 0 : Math.Min(PacketHeader.Length, bytes.Length);
        for (var changes = 1 + random.Next(4); changes > 0 && bytes.Length > from; changes--)
            bytes = Change(bytes, from + random.Next(bytes.Length - from), corpus, random);
        return bytes;
    }

    private static byte[] Change(byte[] bytes, int at, IReadOnlyList<byte[]> corpus, SeededRandom random)
    {
        var length = 1 + random.Next(Math.Min(32, bytes.Length - at));
        switch (random.Next(9))
        {
            case 0:
                bytes[at] ^= (byte)(1 << random.Next(8));
                return bytes;
            case 1:
                bytes[at] = (byte)random.Next(256);
                return bytes;
            case 2:
                bytes[at] = Edges[random.Next(Edges.Length)];
                return bytes;
            case 3:
                return bytes[..at];
            case 4:
                return [.. bytes, .. new byte[random.Next(64)]];
            case 5:
                return [.. bytes[..at], .. bytes[(at + length)..]];
            case 6:
                return [.. bytes[..at], .. bytes[at..(at + length)], .. bytes[at..]];
            case 7:
                // The longest varint, or one byte more.
                return [.. bytes[..at], .. Enumerable.Repeat((byte)0xFF, 9 + random.Next(3)), (byte)random.Next(3), .. bytes[at..]];
            default:
                var other = corpus[random.Next(corpus.Count)];
                return [.. bytes[..at], .. other[random.Next(other.Length)..]];
        }
    }
}
