using System.Numerics;

namespace Skein.Cli.Settings;

/// <summary>A setting, regardless of the type of its value.</summary>
internal interface ISetting
{
    Option Option { get; }

    /// <summary>Such as <c>SKEIN_TOKENS_PER_SECOND</c>.</summary>
    string EnvironmentVariable { get; }

    /// <summary>Such as <c>tokensPerSecond</c>.</summary>
    string Key { get; }

    /// <summary>The same setting under its former name, which the help does not show; null if it was never renamed.</summary>
    ISetting? Former { get; }

    /// <summary>The value; null if no source sets it.</summary>
    object? ReadIfSet(SettingSources sources);

    /// <summary>The value in effect as it is written in the environment and the file; null: there is none.</summary>
    string? TextOf(SettingSources sources);

    /// <summary>The default as it is written there; null: none, or it depends on other things.</summary>
    string? DefaultText { get; }

    /// <summary>What is allowed, in words.</summary>
    string Allowed { get; }

    /// <summary>Type of its value in the file.</summary>
    SettingShape Shape { get; }

    /// <summary>Whether a running member uses a changed value in its file without a restart.</summary>
    bool IsLive { get; }

    /// <summary>Key of a list of objects in the file, which says more than the setting can; null: there is none.</summary>
    string? ListKey => null;
}

internal delegate bool TryRead<T>(string text, out T value);

/// <summary>One setting of a verb. Its value is read the same way, with the same error message, from a flag, the environment and the file.</summary>
/// <param name="name">Lower-case words joined by hyphens, as in the flag.</param>
/// <param name="repeatable">True if the flag may be given several times; the values are then joined by commas.</param>
internal sealed class Setting<T>(
    string name, string placeholder, string description, string allowed, T defaultValue, TryRead<T> tryRead, bool repeatable = false) : ISetting
{
    private (string EnvironmentVariable, string Key) _names = NamesOf(name);
    private Func<T, string?> _write = static value => SettingText.Of(value);

    // Options hold text, so that all sources share one reader. A switch, which takes no value, is a bool for the help only, which then shows no placeholder.
    public Option Option { get; } =
        placeholder.Length == 0 ? new Option<bool>("--" + name) { Description = description, HelpName = placeholder, CustomParser = _ => true }
        : repeatable ? new Option<string[]>("--" + name) { Description = description, HelpName = placeholder }
        : new Option<string?>("--" + name) { Description = description, HelpName = placeholder };

    public string EnvironmentVariable => _names.EnvironmentVariable;

    public string Key => _names.Key;

    public string? ListKey { get; private set; }

    public ISetting? Former { get; private set; }

    public bool IsLive { get; private set; }

    public SettingShape Shape { get; private set; } = SettingShape.Of(typeof(T), repeatable);

    public string Allowed => allowed;

    public string? DefaultText => _write(defaultValue);

    public string? TextOf(SettingSources sources) => _write(Read(sources));

    public T Read(SettingSources sources)
    {
        if (sources.Find(this) is not { } found)
            return defaultValue;
        return tryRead(found.Value, out var value)
            ? value
            : throw new UsageException($"{found.Origin} '{found.Value}' is not allowed; allowed: {allowed}");
    }

    /// <summary>Allows a list of objects in the file beside the setting; <see cref="SettingSources.FindList"/> reads it.</summary>
    public Setting<T> WithList(string key)
    {
        ListKey = key;
        return this;
    }

    /// <summary>A running member uses a changed value in its file without a restart.</summary>
    public Setting<T> Live()
    {
        IsLive = true;
        return this;
    }

    /// <summary>Says how values are written, and what they are in the file.</summary>
    public Setting<T> As(SettingShape shape, Func<T, string?>? write = null)
    {
        Shape = shape;
        _write = write ?? _write;
        return this;
    }

    public Setting<T> Hidden()
    {
        Option.Hidden = true;
        return this;
    }

    /// <summary>Accepts a former name in all sources. The new name overrides it.</summary>
    public Setting<T> Formerly(Setting<T>? former)
    {
        Former = former?.Hidden();
        return this;
    }

    /// <summary>Prefixes the name in the environment and the file with the verb, for a flag that has another meaning for members.</summary>
    public Setting<T> Of(string verb)
    {
        _names = NamesOf(verb + Option.Name[1..]);
        return this;
    }

    public bool IsSet(SettingSources sources) => sources.Find(this) is not null;

    public object? ReadIfSet(SettingSources sources) => IsSet(sources) ? Read(sources) : null;

    private static (string EnvironmentVariable, string Key) NamesOf(string name)
    {
        var words = name.Split('-');
        var key = words[0] + string.Concat(words.Skip(1).Select(word => char.ToUpperInvariant(word[0]) + word[1..]));
        return (SettingSources.VariablePrefix + name.Replace('-', '_').ToUpperInvariant(), key);
    }
}

internal static class Setting
{
    public static Setting<string?> Text(string name, string value, string description) =>
        new(name, value, description, "a text that is not empty", null, (string text, out string? read) => (read = text).Length > 0);

    public static Setting<int> Number(string name, string description, int defaultValue, int min, int max) =>
        new Setting<int>(name, "n", description, Range("a whole number", min, max), defaultValue, Reader(NumberStyles.AllowLeadingSign, min, max))
            .As(SettingShape.Number("integer", min, max));

    public static Setting<int?> OptionalNumber(string name, string description, int min, int max) =>
        new Setting<int?>(name, "n", description, Range("a whole number", min, max), null, Optional(Reader(NumberStyles.AllowLeadingSign, min, max)))
            .As(SettingShape.Number("integer", min, max));

    public static Setting<double> Real(string name, string description, double defaultValue, double min, double max) =>
        new Setting<double>(name, "x", description, Range("a number", min, max), defaultValue, Reader(NumberStyles.Float, min, max))
            .As(SettingShape.Number("number", min, max));

    public static Setting<double> Share(string name, string description, double defaultValue) =>
        new Setting<double>(name, "x", description, "above 0, to 1", defaultValue,
            (string text, out double read) => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out read) && read is > 0 and <= 1)
            .As(SettingShape.Number("number", 0, 1));

    public static Setting<double?> OptionalReal(string name, string description, double min, double max) =>
        new Setting<double?>(name, "x", description, Range("a number", min, max), null, Optional(Reader(NumberStyles.Float, min, max)))
            .As(SettingShape.Number("number", min, max));

    public static Setting<TimeSpan> Duration(string name, string description, TimeSpan defaultValue, TimeSpan max, TimeSpan min = default)
    {
        var from = min > TimeSpan.Zero ? $"from {Durations.Text(min)} " : "";
        return new Setting<TimeSpan>(name, "time", description, $"a time such as 500ms, 2s or 10m, {from}to {Durations.Text(max)}", defaultValue,
            (string text, out TimeSpan read) => Durations.TryParse(text, out read) && read >= min && read <= max)
            .As(SettingShape.Duration);
    }

    public static Setting<long> Size(string name, string description, long defaultValue, long min, long max)
    {
        var allowed = $"a size such as 65536, 512KiB, 32MiB or 1GiB, from {Sizes.Text(min)} to {Sizes.Text(max)}";
        return new Setting<long>(name, "size", description, allowed, defaultValue,
            (string text, out long read) => Sizes.TryParse(text, out read) && read >= min && read <= max)
            .As(SettingShape.Size, static bytes => Sizes.Text(bytes));
    }

    /// <summary>A switch: the flag needs no value; in the environment and the file it is true or false.</summary>
    public static Setting<bool> Flag(string name, string description) => new(name, "", description, "true or false", false, bool.TryParse);

    public static Setting<IReadOnlyList<string>> List(
        string name, string value, string description, string allowed, int maxCount, Func<string, bool> isAllowed) =>
        new(name, value, description, $"{allowed}; at most {maxCount}, joined by commas", [], (string text, out IReadOnlyList<string> read) =>
        {
            read = text.Split(',', StringSplitOptions.TrimEntries);
            return read.Count <= maxCount && read.All(isAllowed);
        }, repeatable: true);

    /// <summary>One of several words, in any case. The help lists them.</summary>
    public static Setting<string> Word(string name, string description, string defaultValue, params IEnumerable<string> words) =>
        Choice(name, description, defaultValue, [.. words.Select(word => (word, word))]);

    /// <summary>One of several words, in any case, each of which names a value. The help lists the words.</summary>
    public static Setting<T> Choice<T>(string name, string description, T defaultValue, params (string Word, T Value)[] choices)
    {
        var words = choices.Select(choice => choice.Word).ToList();
        return new Setting<T>(name, string.Join('|', words), description, string.Join(", ", words), defaultValue, (string text, out T read) =>
        {
            var at = words.FindIndex(word => word.Equals(text, StringComparison.OrdinalIgnoreCase));
            read = at >= 0 ? choices[at].Value : defaultValue;
            return at >= 0;
        }).As(SettingShape.Word(words), value => choices.FirstOrDefault(choice => Equals(choice.Value, value)).Word);
    }

    private static string Range<T>(string kind, T min, T max) => string.Create(CultureInfo.InvariantCulture, $"{kind} from {min} to {max}");

    private static TryRead<T> Reader<T>(NumberStyles styles, T min, T max)
        where T : struct, INumber<T> => (string text, out T read) =>
        T.TryParse(text, styles, CultureInfo.InvariantCulture, out read) && read >= min && read <= max;

    private static TryRead<T?> Optional<T>(TryRead<T> reader)
        where T : struct => (string text, out T? read) =>
        {
            read = reader(text, out var value) ? value : null;
            return read is not null;
        };
}
