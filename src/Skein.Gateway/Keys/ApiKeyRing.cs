using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace Skein.Gateway.Keys;

/// <summary>The keys that a gateway accepts. Immutable.</summary>
public sealed partial class ApiKeyRing
{
    /// <summary>Most keys in one ring.</summary>
    public const int MaxKeys = 10_000;

    private const int HashCharacters = 64;

    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web)
    {
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow, NumberHandling = JsonNumberHandling.Strict, AllowDuplicateProperties = false,
        WriteIndented = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault, ReadCommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true, Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase, allowIntegerValues: false) },
    };

    private readonly FrozenDictionary<string, ApiKey> _byHash;
    private readonly FrozenDictionary<string, ApiKey> _byName;

    /// <summary>Checks the keys.</summary>
    /// <exception cref="ArgumentException">Names the key, the member, its value and what is allowed.</exception>
    public ApiKeyRing(IReadOnlyList<ApiKey> keys)
    {
        if (keys.Count > MaxKeys)
            throw new ArgumentException($"{keys.Count} keys; allowed: up to {MaxKeys}");
        var names = new Dictionary<string, ApiKey>(StringComparer.Ordinal);
        var hashes = new Dictionary<string, ApiKey>(StringComparer.Ordinal);
        foreach (var key in keys)
        {
            Check(key);
            if (!names.TryAdd(key.Name, key))
                throw new ArgumentException($"two keys have the name '{key.Name}'; allowed: one");
            if (!hashes.TryAdd(key.Hash, key))
                throw new ArgumentException($"the keys '{hashes[key.Hash].Name}' and '{key.Name}' have the same secret; allowed: one name per secret");
        }
        Keys = keys;
        _byHash = hashes.ToFrozenDictionary(StringComparer.Ordinal);
        _byName = names.ToFrozenDictionary(StringComparer.Ordinal);
    }

    /// <summary>All keys, in the order of the file.</summary>
    public IReadOnlyList<ApiKey> Keys { get; }

    /// <summary>Clients need no key; administration and metrics do. Default false.</summary>
    public bool IsOpenToClients { get; init; }

    /// <summary>Reads <c>{"keys": [{"name": …, "hash": …, …}]}</c>.</summary>
    /// <exception cref="FormatException">It is no JSON; says where.</exception>
    /// <exception cref="ArgumentException">Says where it is wrong and what is allowed.</exception>
    public static ApiKeyRing Parse(string json)
    {
        RequireJson(json);
        try
        {
            var file = JsonSerializer.Deserialize<KeyFileBody>(json, Format);
            return new ApiKeyRing(file?.Keys ?? throw new ArgumentException("'keys' is missing; allowed: a list of keys"));
        }
        catch (JsonException error)
        {
            throw new ArgumentException($"{error.Path ?? "$"} is not allowed: {ProblemOf(error)}", error);
        }
    }

    // The library's own words, without the names of this program's types.
    private static string ProblemOf(JsonException error) =>
        error.Message.StartsWith("The JSON value could not be converted", StringComparison.Ordinal) ? "its value has another type"
        : TypeName().Replace(error.Message, "");

    [GeneratedRegex("( for| contained in) type '[^']*'", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex TypeName();

    private static void RequireJson(string text)
    {
        try
        {
            using var parsed = JsonDocument.Parse(text, new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
        }
        catch (JsonException error)
        {
            throw new FormatException(text.Trim().Length == 0 ? "it is empty" : $"line {error.LineNumber + 1}, byte {error.BytePositionInLine + 1}", error);
        }
    }

    /// <returns>What <see cref="Parse"/> reads.</returns>
    public string ToJson() => JsonSerializer.Serialize(new KeyFileBody(Keys), Format);

    /// <summary>
    /// Finds the key of a secret. The time that it takes depends on the secret's hash only, of which a caller controls no part, and the hash is compared
    /// in constant time.
    /// </summary>
    /// <returns>Null if there is none.</returns>
    public ApiKey? Find(string secret)
    {
        var hash = ApiKey.HashOf(secret);
        return _byHash.TryGetValue(hash, out var key)
            && CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(hash), Encoding.ASCII.GetBytes(key.Hash)) ? key : null;
    }

    /// <returns>Null if there is none.</returns>
    internal ApiKey? FindByName(string name) => _byName.GetValueOrDefault(name);

    private static void Check(ApiKey key)
    {
        if (key.Name is not { Length: > 0 and <= 64 } || !key.Name.All(character => char.IsAsciiLetterOrDigit(character) || character is '.' or '_' or '-'))
            throw new ArgumentException($"name '{key.Name}' is not allowed; allowed: 1 to 64 letters, digits, '.', '_' or '-'");
        if (key.Hash is not { Length: HashCharacters } || !key.Hash.All(char.IsAsciiHexDigitLower))
            throw new ArgumentException($"hash of key '{key.Name}' is not allowed; allowed: {HashCharacters} lower-case hex digits, the SHA-256 of the secret");
        if (key is { Admin: true, Metrics: MetricsAccess.Only })
            throw new ArgumentException($"metrics of key '{key.Name}' is 'only', and the key has admin rights; allowed: one of both");
        CheckRange(key, "requestsPerMinute", key.RequestsPerMinute, 1_000_000);
        CheckRange(key, "tokensPerMinute", key.TokensPerMinute, 1_000_000_000);
        CheckRange(key, "tokensPerDay", key.TokensPerDay, 1_000_000_000_000);
        CheckRange(key, "streams", key.Streams, 100_000);
        if (key.MaxPriority is { } priority && !RequestLimits.Priority.Contains(priority))
        {
            throw new ArgumentException(string.Create(
                CultureInfo.InvariantCulture, $"maxPriority of key '{key.Name}' is {priority}; allowed: {RequestLimits.Priority}, or absent"));
        }
        if (key.Models is null || key.Models.Any(string.IsNullOrEmpty))
            throw new ArgumentException($"models of key '{key.Name}' is not allowed; allowed: a list of names, empty for all");
    }

    private static void CheckRange(ApiKey key, string member, long? value, long most)
    {
        if (value is { } number && (number < 1 || number > most))
        {
            throw new ArgumentException(
                string.Create(CultureInfo.InvariantCulture, $"{member} of key '{key.Name}' is {number}; allowed: 1 to {most}, or absent"));
        }
    }

    private sealed record KeyFileBody(IReadOnlyList<ApiKey>? Keys);
}
