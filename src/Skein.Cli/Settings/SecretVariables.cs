namespace Skein.Cli.Settings;

/// <summary>Variables of the environment that hold secrets themselves, which no flag may: other users of the machine can read flags.</summary>
internal static class SecretVariables
{
    /// <summary>The API key that client verbs send.</summary>
    public const string ApiKey = "SKEIN_API_KEY";

    /// <summary>API keys that a gateway accepts, as hashes: the content of a file that <c>skein api-keys new</c> writes.</summary>
    public const string ApiKeyHashes = "SKEIN_API_KEY_HASHES";

    /// <summary>The key that gateways show to replicas and to each other.</summary>
    public const string LinkKey = "SKEIN_LINK_KEY";

    public static IReadOnlyList<string> All { get; } = [ApiKey, ApiKeyHashes, LinkKey];
}
