using Skein.Engines.OpenAiCompatible.Metrics;
using Skein.Engines.OpenAiCompatible.Texts;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible;

/// <summary>Connects to OpenAI-compatible servers: llama.cpp, vLLM, SGLang, Ollama or any other.</summary>
public sealed class OpenAiEngineFactory : IEngineFactory
{
    private const string AutoKind = "auto";

    /// <summary>Longest time for calls that generate before the server is served. A slower server is tried further while it serves.</summary>
    private static readonly TimeSpan TryTimeout = TimeSpan.FromMilliseconds(750);

    private static readonly EngineSetting KeyFile = new(
        "engine-key-file", EngineSettingKind.SecretFile, "File with the API key of the server; or set SKEIN_ENGINE_KEY") { ValueName = "file" };

    private static readonly EngineSetting ServerKind = new(
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
        "Whether all chats go through the server's own chat call and are resumed by text [default: false; calls for ids are used if they answer the same]")
        {
            ValueName = "true|false",
            Allowed = "true or false",
            IsAllowed = text => bool.TryParse(text, out _),
        };

    private static readonly EngineSetting Silence = new(
        "engine-silence", EngineSettingKind.Duration, "Longest silence of one stream of the server, also before its first token [default: 5m]")
        { Min = 1, Max = 3600, Default = OpenAiEngineOptions.DefaultSilence.TotalSeconds };

    public string Help => "the URL of an OpenAI-compatible server";

    public string Allowed => "an http:// or https:// address";

    public string Subject => "servers";

    public IReadOnlyList<EngineSetting> Settings { get; } =
        [EngineSetting.Model, KeyFile, ServerKind, Fingerprint, BitExact, ChatCall, Silence, EngineSetting.Timeout];

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
            Kind = configuration.Get(ServerKind, AutoKind) is var kind and not AutoKind ? kind : null,
            Fingerprint = configuration.Get<string?>(Fingerprint, null),
            IsBitExact = configuration.Get(BitExact, false),
            UsesChatCall = bool.Parse(configuration.Get<string?>(ChatCall, null) ?? bool.FalseString),
            SilenceTimeout = configuration.Get(Silence, options.SilenceTimeout),
            // Health checks are calls. Their timeout must not be shorter than the time after which the engine counts as frozen.
            CallTimeout = timeout > options.CallTimeout ? timeout : options.CallTimeout,
        };
    }

    public void Check(EngineConfiguration configuration) => Read(configuration).Validate();

    public Task<IInferenceEngine> CreateAsync(EngineConfiguration configuration, CancellationToken cancellationToken) =>
        ConnectAsync(Read(configuration), TimeProvider.System, createHandler: null, cancellationToken);

    /// <summary>
    /// Asks the server what it is and what it serves, and returns the engine, ready to serve. The list of models is read again while it runs; a server
    /// that is replaced by one of another kind needs a new engine.
    /// </summary>
    /// <param name="createHandler">Makes the connections; the engine disposes it. Default: sockets, kept alive and reused.</param>
    /// <exception cref="ArgumentException">An option is out of range, or does not go with what the server serves.</exception>
    /// <exception cref="FaultException">The server cannot be reached, or is not of the declared kind.</exception>
    public static async Task<IInferenceEngine> ConnectAsync(
        OpenAiEngineOptions options, TimeProvider time, Func<HttpMessageHandler>? createHandler = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(time);
        options.Validate();
        var http = new EngineHttp(options, createHandler?.Invoke() ?? new EngineConnections(options.ConnectTimeout, options.TrustedRoots), time);
        try
        {
            return await ConnectAsync(http, options, time, cancellationToken);
        }
        catch
        {
            http.Dispose();
            throw;
        }
    }

    private static async Task<IInferenceEngine> ConnectAsync(
        EngineHttp http, OpenAiEngineOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        var (profile, facts) = await ServerProfiles.ProbeAsync(http, options.Kind, cancellationToken);
        var texts = new TextGeneration(http, profile);
        var models = new ModelDirectory(http, profile, options, texts, time);
        using var tries = new CancellationTokenSource(TryTimeout, time);
        await models.UpdateAsync(facts, () => NoSlot.Instance, tries.Token, cancellationToken);
        return new OpenAiEngine(
            profile,
            models,
            options.Slots ?? facts.Slots,
            texts,
            new WholeGeneration(http, profile),
            new LoadScraper(http, profile.LoadSources, time),
            http,
            time);
    }

    /// <summary>While it connects, nothing else uses the engine.</summary>
    private sealed class NoSlot : IDisposable
    {
        public static NoSlot Instance { get; } = new();

        public void Dispose()
        {
        }
    }
}
