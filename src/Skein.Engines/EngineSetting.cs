namespace Skein.Engines;

/// <summary>How the value of an engine's setting is written.</summary>
public enum EngineSettingKind
{
    /// <summary>A text that <see cref="EngineSetting.IsAllowed"/> accepts.</summary>
    Text,

    /// <summary>True or false; given without a value it is true.</summary>
    Flag,

    /// <summary>A number from <see cref="EngineSetting.Min"/> to <see cref="EngineSetting.Max"/>.</summary>
    Number,

    /// <summary>A time; <see cref="EngineSetting.Min"/> and <see cref="EngineSetting.Max"/> are in seconds.</summary>
    Duration,

    /// <summary>A file whose content is the value. Without it, the environment variable without the suffix <c>_FILE</c> is the value.</summary>
    SecretFile,
}

/// <summary>
/// One setting of an engine. The host turns it into a flag, an environment variable and a key of its configuration file. Immutable; compared by reference.
/// </summary>
public sealed class EngineSetting(string name, EngineSettingKind kind, string description)
{
    /// <summary>Pace of each stream, in tokens per second; 0 sets no limit.</summary>
    public static EngineSetting TokensPerSecond { get; } = new(
        "tokens-per-second", EngineSettingKind.Number, "Pace of each stream; 0: no limit [default: embedded 40, simulated 0]") { Max = 1_000_000 };

    /// <summary>The model to serve: a file, or a server's name for it.</summary>
    public static EngineSetting Model { get; } = new(
        "model", EngineSettingKind.Text, "GGUF file for the embedded engine, or the one model of a server to serve [default: the bundled one, or all]");

    /// <summary>How long an engine in another process may be silent, streams and health checks together, before it counts as frozen.</summary>
    public static EngineSetting Timeout { get; } = new(
        "engine-timeout", EngineSettingKind.Duration, "Longest time in which a server neither sends a token nor answers a health check [default: 2s]")
        { Min = 0.3, Max = 3600, Default = 2, FormerName = "engine-patience" };

    /// <summary>Lower-case words joined by hyphens, as in the flag.</summary>
    public string Name { get; } = name;

    /// <summary>Name that is still accepted but not shown. Default: none.</summary>
    public string? FormerName { get; init; }

    public EngineSettingKind Kind { get; } = kind;

    /// <summary>What it is for, with its default.</summary>
    public string Description { get; } = description;

    /// <summary>Placeholder of a text's value in the help. Default: text.</summary>
    public string ValueName { get; init; } = "text";

    /// <summary>Allowed texts, in words. Default: any text that is not empty.</summary>
    public string Allowed { get; init; } = "a text that is not empty";

    public Func<string, bool> IsAllowed { get; init; } = text => text.Length > 0;

    /// <summary>Least value. Default: 0.</summary>
    public double Min { get; init; }

    public double Max { get; init; }

    /// <summary>Value of a duration that is not set, in seconds. Default: 0, without meaning for other kinds.</summary>
    public double Default { get; init; }
}
