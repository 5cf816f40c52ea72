using System.Security.Cryptography;

namespace Skein.Gateway.Keys;

/// <summary>A client's key as the gateway stores it: the hash of its secret, and what the client may do. Immutable.</summary>
public sealed record ApiKey
{
    /// <summary>Start of the secrets that <see cref="NewSecret"/> makes, by which secret scanners can find them.</summary>
    public const string SecretPrefix = "sk-skein-";

    /// <summary>Shortest secret that is accepted, in characters. A shorter one can be guessed.</summary>
    public const int MinSecretLength = 16;

    /// <summary>Public name of the key in logs, metrics and lists: 1 to 64 letters, digits, '.', '_' or '-'. Unique.</summary>
    public required string Name { get; init; }

    /// <summary>
    /// SHA-256 of the secret's UTF-8 bytes, in lower-case hex. A slow hash is not needed: <see cref="NewSecret"/> has 256 random bits.
    /// </summary>
    public required string Hash { get; init; }

    /// <summary>May use /admin, /metrics and the dashboard too. Default no.</summary>
    public bool Admin { get; init; }

    /// <summary>Whether it may read /metrics without <see cref="Admin"/>. Default no.</summary>
    public MetricsAccess Metrics { get; init; }

    /// <summary>Models that it may ask for. Default empty: all.</summary>
    public IReadOnlyList<string> Models { get; init; } = [];

    /// <summary>Requests per minute, 1 to 1,000,000; null: no limit. An unused minute's requests may come at once.</summary>
    public int? RequestsPerMinute { get; init; }

    /// <summary>Prompt and completion tokens per minute, 1 to 1,000,000,000; null: no limit. They are charged as they arrive.</summary>
    public long? TokensPerMinute { get; init; }

    /// <summary>Prompt and completion tokens per 24 hours, 1 to 1,000,000,000,000; null: no limit.</summary>
    public long? TokensPerDay { get; init; }

    /// <summary>Requests at the same time, 1 to 100,000; null: no limit.</summary>
    public int? Streams { get; init; }

    /// <summary>
    /// Most urgent priority class that its requests get, -8 to 8, where lower is served first; null: any. A request that would be of a more urgent one, 0
    /// if it names none, is of this one.
    /// </summary>
    public int? MaxPriority { get; init; }

    /// <summary>Whether it may ask for the model.</summary>
    /// <param name="model">As the client named it; empty if it named none.</param>
    public bool Allows(string model) => Models.Count == 0 || Models.Contains(model);

    /// <returns>The priority class of a request that asked for <paramref name="asked"/>.</returns>
    public int PriorityOf(int asked) => MaxPriority is { } most && asked < most ? most : asked;

    /// <returns>A new secret with 256 random bits.</returns>
    public static string NewSecret() => SecretPrefix + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));

    /// <returns>What <see cref="Hash"/> is for this secret.</returns>
    public static string HashOf(string secret) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(secret)));
}

/// <summary>Whether a key without admin rights may read /metrics.</summary>
public enum MetricsAccess
{
    No,

    /// <summary>/metrics beside the APIs.</summary>
    Also,

    /// <summary>/metrics and nothing else: a key for Prometheus.</summary>
    Only,
}
