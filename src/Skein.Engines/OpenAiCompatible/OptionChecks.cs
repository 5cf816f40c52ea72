namespace Skein.Engines.OpenAiCompatible;

/// <summary>Holds options against their documented ranges.</summary>
internal static class OptionChecks
{
    private const int MostSlots = 10_000;
    private const int MostFingerprintCharacters = 128;
    private static readonly TimeSpan LongestWait = TimeSpan.FromHours(1);

    /// <exception cref="ArgumentException">An option is out of its range; the message names it, its value and what is allowed.</exception>
    public static void Check(OpenAiEngineOptions options)
    {
        var url = options.BaseUrl;
        var isUsable = url.IsAbsoluteUri && url.Scheme is "http" or "https" && url is { UserInfo: "", Query: "", Fragment: "" };
        Require(isUsable, nameof(options.BaseUrl), url, "an http or https URL without user name, query and fragment");
        Require(Enum.IsDefined(options.Kind), nameof(options.Kind), options.Kind, string.Join(", ", Enum.GetNames<OpenAiEngineKind>()));
        // The value is a secret: not shown.
        Require(IsPrintable(options.ApiKey ?? "-"), nameof(options.ApiKey), "empty or has other characters", "printable ASCII");
        Require(options.Model is not "", nameof(options.Model), "empty", "a model's name, or none");
        Require(options.Slots is null or (>= 1 and <= MostSlots), nameof(options.Slots), options.Slots, $"1 to {MostSlots}");
        var fingerprint = options.Fingerprint ?? "-";
        Require(
            IsPrintable(fingerprint) && fingerprint.Length <= MostFingerprintCharacters,
            nameof(options.Fingerprint), fingerprint, $"1 to {MostFingerprintCharacters} characters of printable ASCII");
        Require(
            options.StartTimeout >= TimeSpan.Zero && options.StartTimeout <= LongestWait,
            nameof(options.StartTimeout), options.StartTimeout, "0 to 1 hour");
        CheckWait(nameof(options.ConnectTimeout), options.ConnectTimeout);
        CheckWait(nameof(options.CallTimeout), options.CallTimeout);
        CheckWait(nameof(options.SilenceTimeout), options.SilenceTimeout);
    }

    private static void CheckWait(string name, TimeSpan value) =>
        Require(value > TimeSpan.Zero && value <= LongestWait, name, value, "above 0, to 1 hour");

    private static bool IsPrintable(string text) => text.Length > 0 && text.All(character => character is >= ' ' and <= '~');

    private static void Require(bool isRight, string name, object? value, string allowed)
    {
        if (!isRight)
        {
            throw new ArgumentException($"{name} is {value}; allowed: {allowed}");
        }
    }
}
