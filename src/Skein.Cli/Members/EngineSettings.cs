using Skein.Cli.Settings;
using Skein.Engines;
using Skein.Engines.Embedded;
using Skein.Engines.OpenAiCompatible;
using Skein.Engines.Simulated;
using Skein.Protocol;

namespace Skein.Cli.Members;

/// <summary>The settings of engines, and how they become one.</summary>
internal static class EngineSettings
{
    public const string Help = "Engine: embedded (a tiny real model in this process), simulated, or the URL of an OpenAI-compatible server [default: embedded]";
    public const string Allowed = "embedded, simulated, or an http:// or https:// address";
    public const string Embedded = "embedded";
    public const string Simulated = "simulated";

    private static readonly Setting<double?> TokensPerSecond = Setting.OptionalReal(
        "tokens-per-second", "Pace of each stream; 0: as fast as it can [default: embedded 40, simulated 0]", 0, 1_000_000);

    /// <summary>Which model, for engines of both kinds.</summary>
    public static Setting<string?> Model { get; } = Setting.Text(
        "model", "text", "GGUF file for the embedded engine, or the one model to serve of a server [default: the one that comes with Skein, or all]");

    private static readonly Setting<bool> EnableFaults = Setting.Flag("enable-faults", "Let requests ask the simulated engine for faults (tests only)");

    /// <summary>One of <see cref="Embedded"/>, <see cref="Simulated"/>, or a URL.</summary>
    public static Setting<string> Engine { get; } = new("engine", "engine", Help, Allowed, Embedded, TryRead);

    /// <summary>All but <see cref="Engine"/> itself.</summary>
    public static IReadOnlyList<ISetting> Details { get; } = [TokensPerSecond, Model, .. ServerSettings.All, EnableFaults];

    /// <summary>Reads the name of an engine.</summary>
    public static bool TryRead(string text, out string engine)
    {
        engine = text;
        return text is Embedded or Simulated || (Uri.TryCreate(text, UriKind.Absolute, out var server) && server.Scheme is "http" or "https");
    }

    /// <summary>Refuses what does not go with an engine, before anything is started.</summary>
    /// <exception cref="UsageException">A value is not allowed, or not with this engine.</exception>
    public static void Check(SettingSources sources, string engine)
    {
        var isServer = engine is not (Embedded or Simulated);
        TokensPerSecond.Read(sources);
        var model = Model.Read(sources);
        if (engine == Simulated && model is not null)
            throw new UsageException("--model is for the embedded engine and for servers; allowed with --engine simulated: nothing");
        if (engine == Embedded && model is not null && !File.Exists(model))
            throw new UsageException($"--model '{model}' is no file; allowed with --engine embedded: a GGUF file");
        if (isServer && TokensPerSecond.IsSet(sources))
            throw new UsageException($"--tokens-per-second is for the embedded and the simulated engine; allowed with --engine {engine}: nothing");
        if (!isServer && ServerSettings.All.FirstOrDefault(setting => sources.Find(setting) is not null) is { } ofServers)
            throw new UsageException($"{ofServers.Option.Name} is for servers; allowed with --engine {engine}: nothing");
        if (engine != Simulated && EnableFaults.Read(sources))
            throw new UsageException($"--enable-faults is for the simulated engine; allowed with --engine {engine}: nothing");
        if (isServer)
            ServerSettings.Read("--engine", new Uri(engine), sources, slots: null);
    }

    /// <param name="sources">The settings.</param>
    /// <param name="slots">Generations at the same time; null: what the engine says.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="UsageException">A value is not allowed.</exception>
    /// <exception cref="CommandFailedException">The model cannot be read, or the server does not answer.</exception>
    public static async Task<IInferenceEngine> CreateAsync(SettingSources sources, int? slots, CancellationToken cancellationToken)
    {
        var engine = Engine.Read(sources);
        Check(sources, engine);
        try
        {
            return engine switch
            {
                Embedded => CreateEmbedded(sources),
                Simulated => CreateSimulated(sources),
                _ => await OpenAiEngine.ConnectAsync(
                    ServerSettings.Read("--engine", new Uri(engine), sources, slots), TimeProvider.System, createHandler: null, cancellationToken),
            };
        }
        catch (ArgumentException error)
        {
            throw new UsageException($"--engine {engine}: {error.Message}");
        }
        catch (Exception error) when (error is ModelFileException or FaultException)
        {
            throw new CommandFailedException(error.Message, error);
        }
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
}
