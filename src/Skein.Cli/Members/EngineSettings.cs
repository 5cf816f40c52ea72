using Skein.Cli.Settings;
using Skein.Engines;
using Skein.Engines.Embedded;
using Skein.Engines.OpenAi;
using Skein.Engines.Simulated;
using Skein.Replica;

namespace Skein.Cli.Members;

/// <summary>The settings of engines, and how they become one.</summary>
internal static class EngineSettings
{
    public const string Help = "Engine: embedded (a tiny real model in this process), simulated, or the URL of an OpenAI-compatible server [default: embedded]";
    public const string Allowed = "embedded, simulated, or an http:// or https:// address";
    public const string Embedded = "embedded";
    public const string Simulated = "simulated";

    private const string KeyVariable = "SKEIN_ENGINE_KEY";

    private static readonly Setting<double?> TokensPerSecond = Setting.OptionalReal(
        "tokens-per-second", "Pace of each stream; 0: as fast as it can [default: embedded 40, simulated 0]", 0, 1_000_000);

    private static readonly Setting<string?> Model = Setting.Text(
        "model", "text", "GGUF file for the embedded engine, or the one model to serve of a server [default: the one that comes with Skein, or all]");

    private static readonly Setting<string?> KeyFile = Setting.Text("engine-key-file", "file", $"File with the API key of the server; or set {KeyVariable}");
    private static readonly Setting<bool> BitExact = Setting.Flag("bit-exact", "Declare that the server computes the same bits in any batch: greedy answers are then resumed exactly");
    private static readonly Setting<TimeSpan> Patience = Setting.Duration(
        "engine-patience", "How long a server may leave its streams and the replica's questions without a sign of life, from 300ms [default: 2s]",
        new ReplicaOptions().EnginePatience, TimeSpan.FromHours(1), isZeroAllowed: false);

    private static readonly Setting<bool> EnableFaults = Setting.Flag("enable-faults", "Let requests ask the simulated engine for faults (tests only)");

    private static readonly TimeSpan LeastPatience = TimeSpan.FromMilliseconds(300);

    /// <summary>One of <see cref="Embedded"/>, <see cref="Simulated"/>, or a URL.</summary>
    public static Setting<string> Engine { get; } = new("engine", "engine", Help, Allowed, Embedded, TryRead);

    /// <summary>All but <see cref="Engine"/> itself.</summary>
    public static IReadOnlyList<ISetting> Details { get; } = [TokensPerSecond, Model, KeyFile, BitExact, Patience, EnableFaults];

    /// <summary>Those of servers.</summary>
    public static IReadOnlyList<ISetting> OfServers { get; } = [Model, KeyFile, BitExact, Patience];

    /// <summary>Reads the name of an engine.</summary>
    public static bool TryRead(string text, out string engine)
    {
        engine = text;
        return text is Embedded or Simulated || (Uri.TryCreate(text, UriKind.Absolute, out Uri? server) && server.Scheme is "http" or "https");
    }

    /// <summary>Refuses what does not go with an engine, before anything is started.</summary>
    /// <exception cref="UsageException">A value is not allowed, or not with this engine.</exception>
    public static void Check(SettingSources sources, string engine)
    {
        bool isServer = engine is not (Embedded or Simulated);
        TokensPerSecond.Read(sources);
        string? model = Model.Read(sources);
        if (engine == Simulated && model is not null)
            throw new UsageException("--model is for the embedded engine and for servers; allowed with --engine simulated: nothing");
        if (engine == Embedded && model is not null && !File.Exists(model))
            throw new UsageException($"--model '{model}' is no file; allowed with --engine embedded: a GGUF file");
        if (isServer && TokensPerSecond.IsSet(sources))
            throw new UsageException($"--tokens-per-second is for the embedded and the simulated engine; allowed with --engine {engine}: nothing");
        if (!isServer && BitExact.Read(sources))
            throw new UsageException($"--bit-exact is for servers; allowed with --engine {engine}: nothing");
        ReadPatience(sources);
        if (!isServer && Patience.IsSet(sources))
            throw new UsageException($"--engine-patience is for servers; allowed with --engine {engine}: nothing");
        if (engine != Simulated && EnableFaults.Read(sources))
            throw new UsageException($"--enable-faults is for the simulated engine; allowed with --engine {engine}: nothing");
        if (isServer)
            ReadKey(sources);
        else if (KeyFile.IsSet(sources))
            throw new UsageException($"--engine-key-file is for servers; allowed with --engine {engine}: nothing");
    }

    /// <param name="sources">The settings.</param>
    /// <param name="slots">Generations at the same time; null: what the engine says.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="UsageException">A value is not allowed.</exception>
    /// <exception cref="CommandFailedException">The model cannot be read, or the server does not answer.</exception>
    public static async Task<IInferenceEngine> CreateAsync(SettingSources sources, int? slots, CancellationToken cancellationToken)
    {
        string engine = Engine.Read(sources);
        Check(sources, engine);
        try
        {
            return engine switch
            {
                Embedded => CreateEmbedded(sources),
                Simulated => CreateSimulated(sources),
                _ => await ConnectAsync(new Uri(engine), sources, slots, cancellationToken),
            };
        }
        catch (ArgumentException error)
        {
            throw new UsageException($"--engine {engine}: {error.Message}");
        }
        catch (Exception error) when (error is ModelFileException or EngineException)
        {
            throw new CommandFailedException(error.Message, error);
        }
    }

    /// <summary>How long a server may be silent.</summary>
    /// <exception cref="UsageException">The value is not allowed.</exception>
    public static TimeSpan ReadPatience(SettingSources sources)
    {
        TimeSpan patience = Patience.Read(sources);
        return patience >= LeastPatience ? patience : throw new UsageException($"--engine-patience {patience.TotalMilliseconds:0.###}ms is not allowed; allowed: from 300ms, to 60m");
    }

    /// <param name="server">Its URL.</param>
    /// <param name="sources">The settings.</param>
    /// <param name="slots">Generations at the same time; null: what the server says.</param>
    /// <exception cref="UsageException">A value is not allowed.</exception>
    public static OpenAiEngineOptions ServerOptions(Uri server, SettingSources sources, int? slots)
    {
        var options = new OpenAiEngineOptions
        {
            BaseUrl = server, Model = Model.Read(sources), Slots = slots, IsBitExact = BitExact.Read(sources), ApiKey = ReadKey(sources),
        };

        // The replica's questions are calls: none may end before the patience does.
        TimeSpan patience = ReadPatience(sources);
        return patience > options.CallTimeout ? options with { CallTimeout = patience } : options;
    }

    private static IInferenceEngine CreateEmbedded(SettingSources sources)
    {
        var options = new EmbeddedEngineOptions { TokensPerSecond = TokensPerSecond.Read(sources) ?? 40 };
        return EmbeddedEngine.Load(Model.Read(sources) is { } file ? options with { ModelFile = file } : options, TimeProvider.System);
    }

    private static IInferenceEngine CreateSimulated(SettingSources sources) => SimulatedEngineFactory.Create(
        new SimulatedEngineOptions
        {
            TokensPerSecond = TokensPerSecond.Read(sources) ?? 0, EnableFaults = EnableFaults.Read(sources), ReplicaName = EndpointSettings.GivenName(sources) ?? "",
        },
        TimeProvider.System,
        // What a test asks for by a crash is the death of the process, without a word.
        () => System.Diagnostics.Process.GetCurrentProcess().Kill());

    private static Task<IInferenceEngine> ConnectAsync(Uri server, SettingSources sources, int? slots, CancellationToken cancellationToken) =>
        OpenAiEngine.ConnectAsync(ServerOptions(server, sources, slots), TimeProvider.System, createHandler: null, cancellationToken);

    private static string? ReadKey(SettingSources sources)
    {
        if (KeyFile.Read(sources) is not { } path)
            return Environment.GetEnvironmentVariable(KeyVariable);
        try
        {
            return File.ReadAllText(path).Trim();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"--engine-key-file {path} cannot be read: {error.Message}");
        }
    }
}
