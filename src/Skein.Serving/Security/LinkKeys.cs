using System.Security.Cryptography;
using System.Text;

namespace Skein.Serving.Security;

/// <summary>
/// The secrets that members of one group share: gateways send the first to replicas and to each other, and all are accepted, so that a secret can be replaced
/// without an interruption. Immutable.
/// </summary>
public sealed class LinkKeys
{
    /// <summary>Shortest secret that is accepted, in characters. A shorter one can be guessed.</summary>
    public const int MinLength = 16;

    /// <summary>Most secrets at the same time.</summary>
    public const int MaxKeys = 16;

    private const string Bearer = "Bearer ";

    private readonly byte[][] _hashes;

    private LinkKeys(IReadOnlyList<string> secrets)
    {
        Authorization = Bearer + secrets[0];
        _hashes = [.. secrets.Select(HashOf)];
    }

    /// <summary>Value of the header <c>authorization</c> with the first secret.</summary>
    public string Authorization { get; }

    /// <summary>Reads one secret per line. Empty lines and lines that begin with # are skipped.</summary>
    /// <exception cref="ArgumentException">Says what is wrong and what is allowed. It contains no secret.</exception>
    public static LinkKeys Parse(string text)
    {
        List<string> secrets =
        [
            .. text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
                .Where(static line => !line.StartsWith('#')),
        ];
        if (secrets.Count is 0 or > MaxKeys)
            throw new ArgumentException($"it has {secrets.Count} keys; allowed: 1 to {MaxKeys}, one per line");
        // A header must be able to carry it.
        var wrong = secrets.FindIndex(static secret => secret.Length < MinLength || secret.Any(static character => character is <= ' ' or > '~'));
        return wrong < 0
            ? new LinkKeys(secrets)
            : throw new ArgumentException($"key {wrong + 1} is not allowed; allowed: at least {MinLength} visible ASCII characters");
    }

    /// <summary>Whether a request carries one of the secrets. The time that it takes does not depend on how much of one it matches.</summary>
    /// <param name="authorization">Value of its header <c>authorization</c>.</param>
    public bool Accepts(string? authorization)
    {
        if (authorization is null || !authorization.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase))
            return false;
        var hash = HashOf(authorization[Bearer.Length..].Trim());
        var isKnown = false;
        foreach (var known in _hashes)
            isKnown |= CryptographicOperations.FixedTimeEquals(hash, known);
        return isKnown;
    }

    private static byte[] HashOf(string secret) => SHA256.HashData(Encoding.UTF8.GetBytes(secret));
}
