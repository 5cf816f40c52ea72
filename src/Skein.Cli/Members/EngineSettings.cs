using System.Globalization;
using Skein.Cli.Settings;
using Skein.Engines;
using Skein.Engines.Embedded;
using Skein.Engines.Simulated;

namespace Skein.Cli.Members;

/// <summary>Which engine a replica hosts.</summary>
internal enum EngineKind
{
    Embedded,
    Simulated,
}

/// <summary>The settings of engines, and how they become one.</summary>
internal static class EngineSettings
{
    public const string Help = "Engine: embedded (a tiny real model in this process) or simulated [default: embedded]";

    private static readonly Setting<double?> TokensPerSecond = Setting.OptionalReal(
        "tokens-per-second", "Pace of each stream; 0: as fast as it can [default: embedded 40, simulated 0]", 0, 1_000_000);

    private static readonly Setting<string?> Model = Setting.Text("model", "file", "GGUF file for the embedded engine [default: the one that comes with Skein]");
    private static readonly Setting<bool> EnableFaults = Setting.Flag("enable-faults", "Let requests ask the simulated engine for faults (tests only)");

    public static Setting<EngineKind> Engine { get; } = Setting.Choice("engine", Help, EngineKind.Embedded);

    /// <summary>All but <see cref="Engine"/> itself.</summary>
    public static IReadOnlyList<ISetting> Details { get; } = [TokensPerSecond, Model, EnableFaults];

    /// <exception cref="UsageException">A value is not allowed.</exception>
    /// <exception cref="CommandFailedException">The model cannot be read.</exception>
    public static IInferenceEngine Create(SettingSources sources)
    {
        double? tokensPerSecond = TokensPerSecond.Read(sources);
        if (Engine.Read(sources) == EngineKind.Simulated)
        {
            if (Model.IsSet(sources))
                throw new UsageException("--model is for the embedded engine; allowed with --engine simulated: nothing");
            return SimulatedEngineFactory.Create(
                new SimulatedEngineOptions { TokensPerSecond = tokensPerSecond ?? 0, EnableFaults = EnableFaults.Read(sources) },
                TimeProvider.System,
                // What a test asks for by a crash is the death of the process, without a word.
                () => System.Diagnostics.Process.GetCurrentProcess().Kill());
        }
        var options = new EmbeddedEngineOptions { TokensPerSecond = tokensPerSecond ?? 40 };
        try
        {
            return EmbeddedEngine.Load(Model.Read(sources) is { } file ? options with { ModelFile = file } : options, TimeProvider.System);
        }
        catch (ModelFileException error)
        {
            throw new CommandFailedException(error.Message, error);
        }
    }
}
