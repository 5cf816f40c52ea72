namespace Skein.Engines.OpenAiCompatible;

/// <summary>Creates engines from the addresses and settings of OpenAI-compatible servers.</summary>
public sealed class OpenAiEngineFactory : IEngineFactory
{
    private const string AutoKind = "auto";

    private static readonly EngineSetting KeyFile = new(
        "engine-key-file", EngineSettingKind.SecretFile, "File with the API key of the server; or set SKEIN_ENGINE_KEY") { ValueName = "file" };

    private static readonly EngineSetting Kind = new(
        "engine-kind",
        EngineSettingKind.Text,
        $"Kind of the server: {string.Join(", ", OpenAiEngineOptions.Kinds)} (any other) [default: {AutoKind}, detected from its answers]")
        {
            ValueName = "kind",
            Allowed = string.Join(", ", OpenAiEngineOptions.Kinds.Prepend(AutoKind)),
            IsAllowed = text => text == AutoKind || OpenAiEngineOptions.Kinds.Contains(text),
        };

    private static readonly EngineSetting Fingerprint = new(
        "engine-fingerprint",
        EngineSettingKind.Text,
        "Declare that servers with the same text are interchangeable [default: a hash over what the server reports of itself]")
        {
            Allowed = $"1 to {OpenAiEngineOptions.MaxFingerprintCharacters} printable ASCII characters",
            IsAllowed = OpenAiEngineOptions.IsFingerprint,
        };

    private static readonly EngineSetting BitExact = new(
        "bit-exact", EngineSettingKind.Flag, "Declare that the server computes the same bits in any batch: greedy answers are then resumed exactly");

    private static readonly EngineSetting ChatCall = new(
        "engine-chat-call",
        EngineSettingKind.Text,
        "Whether chats go through the server's own chat call, which parses reasoning and resumes by text [default: detected for llama.cpp, else false]")
        {
            ValueName = "true|false",
            Allowed = "true or false",
            IsAllowed = text => bool.TryParse(text, out _),
        };

    private static readonly EngineSetting Silence = new(
        "engine-silence", EngineSettingKind.Duration, "Longest silence of one stream of the server, also before its first token [default: 5m]")
        { Min = 1, Max = 3600 };

    /// <inheritdoc/>
    public string Help => "the URL of an OpenAI-compatible server";

    /// <inheritdoc/>
    public string Allowed => "an http:// or https:// address";

    /// <inheritdoc/>
    public string Subject => "servers";

    /// <inheritdoc/>
    public IReadOnlyList<EngineSetting> Settings { get; } =
        [EngineSetting.Model, KeyFile, Kind, Fingerprint, BitExact, ChatCall, Silence, EngineSetting.Timeout];

    /// <inheritdoc/>
    public bool Matches(string engine) => Uri.TryCreate(engine, UriKind.Absolute, out var server) && server.Scheme is "http" or "https";

    /// <summary>The options of a server; not checked.</summary>
    public static OpenAiEngineOptions Read(EngineConfiguration configuration)
    {
        var options = new OpenAiEngineOptions { BaseUrl = new Uri(configuration.Engine) };
        var timeout = configuration.Get(EngineSetting.Timeout, TimeSpan.Zero);
        return options with
        {
            Slots = configuration.Slots,
            Model = configuration.Get<string?>(EngineSetting.Model, null),
            ApiKey = configuration.Get<string?>(KeyFile, null),
            Kind = configuration.Get(Kind, AutoKind) is var kind and not AutoKind ? kind : null,
            Fingerprint = configuration.Get<string?>(Fingerprint, null),
            IsBitExact = configuration.Get(BitExact, false),
            UsesChatCall = configuration.Get<string?>(ChatCall, null) is { } chatCall ? bool.Parse(chatCall) : null,
            SilenceTimeout = configuration.Get(Silence, options.SilenceTimeout),
            // Health checks are calls: none may end before the engine counts as frozen.
            CallTimeout = timeout > options.CallTimeout ? timeout : options.CallTimeout,
        };
    }

    /// <inheritdoc/>
    public void Check(EngineConfiguration configuration) => Read(configuration).Validate();

    /// <inheritdoc/>
    public Task<IInferenceEngine> CreateAsync(EngineConfiguration configuration, CancellationToken cancellationToken) =>
        OpenAiEngine.ConnectAsync(Read(configuration), configuration.Time, createHandler: null, cancellationToken);
}
