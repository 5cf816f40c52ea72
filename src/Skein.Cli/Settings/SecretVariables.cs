namespace Skein.Cli.Settings;

/// <summary>Variables of the environment that hold a secret itself, which no flag may: other users of the machine can read flags.</summary>
internal static class SecretVariables
{
    /// <summary>The API key that client verbs send.</summary>
    public const string ApiKey = "SKEIN_API_KEY";

    /// <summary>The key that gateways show to replicas and to each other.</summary>
    public const string LinkKey = "SKEIN_LINK_KEY";
}
