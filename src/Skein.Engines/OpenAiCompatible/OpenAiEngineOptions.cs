using System.Collections.Frozen;
using System.Security.Cryptography.X509Certificates;

namespace Skein.Engines.OpenAiCompatible;

/// <summary>Which server to use, and what it does not report of itself. Immutable.</summary>
public sealed record OpenAiEngineOptions
{
    public const int MaxFingerprintCharacters = 128;

    internal static readonly TimeSpan DefaultSilence = TimeSpan.FromMinutes(5);

    private const int MostAliases = 32;

    private static readonly TimeSpan MaxTimeout = TimeSpan.FromHours(1);

    /// <summary>Kinds of servers that are known, as <see cref="Kind"/> names them.</summary>
    public static IReadOnlyList<string> Kinds { get; } = [.. ServerProfiles.All.Select(profile => profile.Name)];

    /// <summary>Address of the server: http or https, with or without a trailing <c>/v1</c>, without user name, query and fragment.</summary>
    public required Uri BaseUrl { get; init; }

    /// <summary>
    /// Kind of the server, one of <see cref="Kinds"/>: decides which of its calls are used and how well answers can be resumed. Default (null): detected.
    /// </summary>
    public string? Kind { get; init; }

    /// <summary>
    /// Sent as <c>Authorization: Bearer</c>; printable ASCII. Read it from a file or the environment, never from a flag. Default (null): none.
    /// </summary>
    public string? ApiKey { get; init; }

    /// <summary>Further headers of every call, such as those that a proxy in front of the server needs. Default: none.</summary>
    public IReadOnlyDictionary<string, string> Headers { get; init; } = FrozenDictionary<string, string>.Empty;

    /// <summary>Certificates of the authorities that may have issued the server's certificate. Default (null): those of the system.</summary>
    public X509Certificate2Collection? TrustedRoots { get; init; }

    /// <summary>The one model to serve, as the server names it. Default (null): all models that the server lists.</summary>
    public string? Model { get; init; }

    /// <summary>
    /// Further names under which the model is served; the server receives its own name. They need <see cref="Model"/>, or a server with one model. At most
    /// 32, of 1 to 256 characters. Default: none.
    /// </summary>
    public IReadOnlyList<string> Aliases { get; init; } = [];

    /// <summary>
    /// Requests that the server runs at the same time, 1 to 10,000. Default (null): the server's own number (llama.cpp, SGLang), else unknown.
    /// </summary>
    public int? Slots { get; init; }

    /// <summary>
    /// Fingerprint of all its models, 1 to 128 characters of printable ASCII: the operator declares that servers with the same value are
    /// interchangeable. Default (null): a hash over what the server reports of itself; see docs/reference/engines.md for what that proves.
    /// </summary>
    public string? Fingerprint { get; init; }

    /// <summary>
    /// The operator declares that the server computes the same bits for a token whether it is part of the prompt or was just generated, alone or in
    /// a batch: greedy answers are then resumed <c>exact</c> instead of <c>tokens</c>. llama.cpp on a CPU does with <c>-ctk f32 -ctv f32 -fa off</c>
    /// (measured, see docs/reference/engines.md). Default: false.
    /// </summary>
    public bool IsBitExact { get; init; }

    /// <summary>
    /// Whether all chats go through the server's own chat call, and lost ones are resumed by text. Default: false: the calls for token ids are used if they
    /// were seen to answer as the chat call does.
    /// </summary>
    public bool UsesChatCall { get; init; }

    /// <summary>
    /// Directory for files that are kept over restarts: the bytes of a llama.cpp model's tokens, at most 16 files of up to 64 MiB. Default (null): the user's
    /// cache directory.
    /// </summary>
    public string? CacheDirectory { get; init; }

    /// <summary>Timeout of making a connection, above 0, to 1 hour. Default: 5 s.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Timeout of each call that is not generation, above 0, to 1 hour. Health checks are such calls, so it must not be shorter than the replica's liveness
    /// timeout for its engine. Default: 30 s.
    /// </summary>
    public TimeSpan CallTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Longest silence of a stream, the time to its first event included, above 0, to 1 hour. Default: 5 minutes.</summary>
    public TimeSpan SilenceTimeout { get; init; } = DefaultSilence;

    /// <summary>Checks everything that can be checked without the server.</summary>
    /// <exception cref="ArgumentException">An option is out of its range; the message names it, its value and what is allowed.</exception>
    public void Validate()
    {
        var isUsable = BaseUrl.IsAbsoluteUri && BaseUrl.Scheme is "http" or "https" && BaseUrl is { UserInfo: "", Query: "", Fragment: "" };
        OptionGuard.Require(isUsable, nameof(BaseUrl), BaseUrl, "an http or https URL without user name, query and fragment");
        OptionGuard.Require(Kind is null || Kinds.Contains(Kind), nameof(Kind), Kind, string.Join(", ", Kinds));
        // The value is a secret and is not shown.
        OptionGuard.Require(IsPrintable(ApiKey ?? "-"), nameof(ApiKey), "empty or has other characters", "printable ASCII");
        OptionGuard.Require(Model is not "", nameof(Model), "empty", "a model's name, or none");
        OptionGuard.Require(
            Aliases.Count <= MostAliases && Aliases.All(alias => alias.Length is > 0 and <= 256), nameof(Aliases), string.Join(", ", Aliases),
            $"at most {MostAliases} names of 1 to 256 characters");
        OptionGuard.Range(Slots ?? 1, 1, 10_000, nameof(Slots));
        OptionGuard.Require(
            IsFingerprint(Fingerprint ?? "-"), nameof(Fingerprint), Fingerprint, $"1 to {MaxFingerprintCharacters} characters of printable ASCII");
        RequireTimeout(ConnectTimeout, nameof(ConnectTimeout));
        RequireTimeout(CallTimeout, nameof(CallTimeout));
        RequireTimeout(SilenceTimeout, nameof(SilenceTimeout));
    }

    /// <summary>Without the key: options end up in logs.</summary>
    public override string ToString() => $"{Kind ?? "auto"} at {BaseUrl}";

    /// <summary>Whether a text can be a <see cref="Fingerprint"/>.</summary>
    public static bool IsFingerprint(string text) => IsPrintable(text) && text.Length <= MaxFingerprintCharacters;

    private static void RequireTimeout(TimeSpan value, string name) =>
        OptionGuard.Require(value > TimeSpan.Zero && value <= MaxTimeout, name, value, "above 0, to 1 hour");

    private static bool IsPrintable(string text) => text.Length > 0 && text.All(character => character is >= ' ' and <= '~');
}
