using System.Globalization;
using System.Security.Cryptography;
using Skein.Protocol;

namespace Skein.Membership;

/// <summary>
/// The keys of a cluster. The first key seals packets; every key opens them. Immutable. To rotate keys without downtime: append the new key on
/// all members, then move it to the front on all, then remove the old one.
/// </summary>
public sealed record GossipKeys
{
    public const int KeyBytes = 32;

    private const int MaxKeys = 8;

    /// <summary>No keys: packets are neither encrypted nor authenticated.</summary>
    public static GossipKeys None { get; } = new([]);

    private GossipKeys(ImmutableArray<byte[]> keys) => Keys = keys;

    internal ImmutableArray<byte[]> Keys { get; }

    public bool IsEmpty => Keys.IsEmpty;

    /// <summary>The public ids of the keys, in order: the first 4 bytes of SHA-256("skein-key:" + key), in hex.</summary>
    public IReadOnlyList<string> Ids => [.. Keys.Select(static key => IdOf(key).ToString("x8", CultureInfo.InvariantCulture))];

    internal static uint IdOf(byte[] key) => BinaryPrimitives.ReadUInt32BigEndian(SHA256.HashData([.. "skein-key:"u8, .. key]));

    /// <summary>Parses keys in base64, one a line, the sealing key first. Empty lines and lines that begin with # are skipped.</summary>
    /// <exception cref="ArgumentException">A line is not a key, or there are more than eight. The message never contains a key.</exception>
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
            var isKey = Convert.TryFromBase64String(line, key, out var written) && written == KeyBytes;
            OptionGuard.Require(isKey, $"gossip keys: line {number}", "not a key", $"{KeyBytes} bytes in base64");
            keys.Add(key);
        }
        OptionGuard.Require(keys.Count <= MaxKeys, "the number of gossip keys", keys.Count, $"up to {MaxKeys}");
        return new GossipKeys(keys.ToImmutable());
    }

    /// <summary>A new random key, in base64.</summary>
    public static string NewKey() => Convert.ToBase64String(RandomNumberGenerator.GetBytes(KeyBytes));
}
