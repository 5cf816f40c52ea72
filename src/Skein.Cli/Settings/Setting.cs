using System.CommandLine;
using System.Globalization;

namespace Skein.Cli.Settings;

/// <summary>A setting, whatever the type of its value.</summary>
internal interface ISetting
{
    /// <summary>The flag.</summary>
    Option Option { get; }

    /// <summary>Name in the environment, such as <c>SKEIN_TOKENS_PER_SECOND</c>.</summary>
    string EnvironmentVariable { get; }

    /// <summary>Key in the configuration file, such as <c>tokensPerSecond</c>.</summary>
    string Key { get; }
}

/// <summary>Reads a value from text; false when it is not allowed.</summary>
internal delegate bool TryRead<T>(string text, out T value);

/// <summary>One setting of a command, with one reading and one error message wherever it comes from.</summary>
internal sealed class Setting<T> : ISetting
{
    private readonly string _allowed;
    private readonly T _default;
    private readonly TryRead<T> _tryRead;

    /// <param name="name">Lower-case words joined by hyphens, as in the flag.</param>
    /// <param name="value">Placeholder for the value in help.</param>
    /// <param name="description">What it is for, default included.</param>
    /// <param name="allowed">Allowed values, in words.</param>
    /// <param name="defaultValue">Value when nobody sets it.</param>
    /// <param name="tryRead">Reads and checks.</param>
    /// <param name="repeatable">Whether the flag may be given several times; the values are joined by commas.</param>
    public Setting(string name, string value, string description, string allowed, T defaultValue, TryRead<T> tryRead, bool repeatable = false)
    {
        // Read as text: one reading and one message for flag, environment and file alike.
        Option = repeatable ? new Option<string[]>("--" + name) : new Option<string?>("--" + name);
        (Option.Description, Option.HelpName) = (description, value);
        (EnvironmentVariable, Key) = NamesOf(name);
        _allowed = allowed;
        _default = defaultValue;
        _tryRead = tryRead;
    }

    public Option Option { get; }

    public string EnvironmentVariable { get; private set; }

    public string Key { get; private set; }

    /// <exception cref="UsageException">The value is not allowed.</exception>
    public T Read(SettingSources sources)
    {
        if (sources.Find(this) is not { } found)
            return _default;
        return _tryRead(found.Value, out var value)
            ? value
            : throw new UsageException($"{found.Place} '{found.Value}' is not allowed; allowed: {_allowed}");
    }

    /// <summary>Leaves the flag out of the help: it is not for people.</summary>
    public Setting<T> Hidden()
    {
        Option.Hidden = true;
        return this;
    }

    /// <summary>
    /// Puts the verb before its name in the environment and the file (<c>SKEIN_CHAT_MODEL</c>, <c>chatModel</c>), for a flag that means
    /// something else to members.
    /// </summary>
    public Setting<T> Of(string verb)
    {
        (EnvironmentVariable, Key) = NamesOf(verb + Option.Name[1..]);
        return this;
    }

    /// <summary>True when anybody set it.</summary>
    public bool IsSet(SettingSources sources) => sources.Find(this) is not null;

    private static (string EnvironmentVariable, string Key) NamesOf(string name)
    {
        var words = name.Split('-');
        var key = words[0] + string.Concat(words.Skip(1).Select(word => char.ToUpperInvariant(word[0]) + word[1..]));
        return ("SKEIN_" + name.Replace('-', '_').ToUpperInvariant(), key);
    }
}

/// <summary>The kinds of settings.</summary>
internal static class Setting
{
    public static Setting<string?> Text(string name, string value, string description) =>
        new(name, value, description, "a text that is not empty", null, (string text, out string? read) =>
        {
            read = text;
            return text.Length > 0;
        });

    public static Setting<int> Number(string name, string description, int defaultValue, int min, int max) =>
        new(name, "n", description, $"a whole number from {min} to {max}", defaultValue, (string text, out int read) =>
            int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out read) && read >= min && read <= max);

    /// <summary>A number that nobody needs to set: null then.</summary>
    public static Setting<int?> OptionalNumber(string name, string description, int min, int max) =>
        new(name, "n", description, $"a whole number from {min} to {max}", null, (string text, out int? read) =>
        {
            read = int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) ? value : null;
            return read >= min && read <= max;
        });

    /// <summary>A number that nobody needs to set: null then.</summary>
    public static Setting<double?> OptionalReal(string name, string description, double min, double max) =>
        new(name, "x", description, string.Create(CultureInfo.InvariantCulture, $"a number from {min} to {max}"), null, (string text, out double? read) =>
        {
            read = double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) ? value : null;
            return read >= min && read <= max;
        });

    public static Setting<double> Real(string name, string description, double defaultValue, double min, double max) =>
        new(name, "x", description, string.Create(CultureInfo.InvariantCulture, $"a number from {min} to {max}"), defaultValue, (string text, out double read) =>
            double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out read) && read >= min && read <= max);

    public static Setting<TimeSpan> Duration(string name, string description, TimeSpan defaultValue, TimeSpan max, TimeSpan min = default) =>
        new(name, "time", description, $"a time such as 500ms, 2s or 10m, {(min > TimeSpan.Zero ? $"from {Durations.Text(min)} " : "")}to {Durations.Text(max)}", defaultValue, (string text, out TimeSpan read) =>
            Durations.TryParse(text, out read) && read >= min && read <= max);

    public static Setting<long> Size(string name, string description, long defaultValue, long min, long max) =>
        new(name, "size", description, $"a size such as 65536, 512KiB, 32MiB or 1GiB, from {Sizes.Text(min)} to {Sizes.Text(max)}", defaultValue, (string text, out long read) =>
            Sizes.TryParse(text, out read) && read >= min && read <= max);

    public static Setting<bool> Flag(string name, string description)
    {
        var setting = new Setting<bool>(name, "", description, "true or false", false, bool.TryParse);
        // As a flag it needs no value; in the environment and the file it has one.
        setting.Option.Arity = ArgumentArity.ZeroOrOne;
        return setting;
    }

    public static Setting<IReadOnlyList<string>> List(string name, string value, string description, string allowed, int most, Func<string, bool> isAllowed) =>
        new(name, value, description, $"{allowed}; at most {most}, joined by commas", [], (string text, out IReadOnlyList<string> read) =>
        {
            read = text.Split(',', StringSplitOptions.TrimEntries);
            return read.Count <= most && read.All(isAllowed);
        }, repeatable: true);

    /// <summary>One of some words.</summary>
    public static Setting<string> Word(string name, string description, string defaultValue, IEnumerable<string> words)
    {
        string[] allowed = [.. words.Order(StringComparer.Ordinal)];
        return new Setting<string>(name, "name", description, string.Join(", ", allowed), defaultValue, (string text, out string read) => allowed.Contains(read = text));
    }

    public static Setting<T> Choice<T>(string name, string description, T defaultValue)
        where T : struct, Enum
    {
        var allowed = string.Join(", ", Enum.GetNames<T>().Select(item => item.ToLowerInvariant()));
        return new Setting<T>(name, "word", description, allowed, defaultValue, (string text, out T read) =>
            Enum.TryParse(text, ignoreCase: true, out read) && Enum.IsDefined(read) && !char.IsAsciiDigit(text[0]));
    }
}
