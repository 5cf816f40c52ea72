using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Globalization;
using System.Security.Cryptography;

namespace Skein.Membership;

/// <summary>
/// The keys of a cluster: packets are sealed with the first, and opened with any. Immutable. To change keys without downtime: add the new
/// one behind the old on all members, then put it first on all, then take the old one away.
/// </summary>
public sealed record GossipKeys
{
    /// <summary>Bytes of a key.</summary>
    public const int KeyBytes = 32;

    private const int MostKeys = 8;

    /// <summary>No keys: packets are neither encrypted nor authenticated.</summary>
    public static GossipKeys None { get; } = new([]);

    private GossipKeys(ImmutableArray<byte[]> keys) => Keys = keys;

    internal ImmutableArray<byte[]> Keys { get; }

    /// <summary>Whether there are none.</summary>
    public bool IsEmpty => Keys.IsEmpty;

    /// <summary>How packets name the keys, in order: the first 4 bytes of SHA-256("skein-key:" + key), in hex. Tells nothing of the keys.</summary>
    public IReadOnlyList<string> Ids => [.. Keys.Select(static key => IdOf(key).ToString("x8", CultureInfo.InvariantCulture))];

    internal static uint IdOf(byte[] key) => BinaryPrimitives.ReadUInt32BigEndian(SHA256.HashData([.. "skein-key:"u8, .. key]));

    /// <summary>Reads keys as base64, one a line, the one to seal with first; empty lines and lines with # are skipped.</summary>
    /// <exception cref="MembershipException">A line is no key, or there are more than eight; the key itself is never in the message.</exception>
    public static GossipKeys Parse(string text)
    {
        var keys = ImmutableArray.CreateBuilder<byte[]>();
        var number = 0;
        foreach (var raw in text.Split('\n'))
        {
            number++;
            var line = raw.Trim();
            if (line.Length == 0 || line[0] == '#')
                continue;
            var key = new byte[KeyBytes];
            if (!Convert.TryFromBase64String(line, key, out var written) || written != KeyBytes)
                throw Check.Refused($"gossip keys: line {number} is no key: allowed are {KeyBytes} bytes in base64");
            keys.Add(key);
        }
        if (keys.Count > MostKeys)
            throw Check.Refused($"gossip keys: {keys.Count} keys: allowed are up to {MostKeys}");
        return new GossipKeys(keys.ToImmutable());
    }

    /// <summary>A new random key, in base64.</summary>
    public static string NewKey() => Convert.ToBase64String(RandomNumberGenerator.GetBytes(KeyBytes));
}
