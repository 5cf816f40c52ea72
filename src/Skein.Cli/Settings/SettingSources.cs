using System.Collections;
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Configuration.Json;
using Microsoft.Extensions.Configuration.Memory;

namespace Skein.Cli.Settings;

/// <summary>The values of a verb's settings and their origins. Flags override the environment, which overrides the configuration file.</summary>
internal sealed class SettingSources
{
    /// <summary>Prefix of all environment variables.</summary>
    public const string VariablePrefix = "SKEIN_";

    private readonly ParseResult _flags;
    private readonly string? _path;
    private readonly IConfigurationProvider _file;
    private readonly IConfigurationProvider _environment;
    private readonly IConfigurationProvider _commandLine;

    /// <param name="flags">The command line.</param>
    /// <param name="settings">All settings of the verb.</param>
    /// <param name="environment">Environment variables.</param>
    /// <param name="path">The configuration file; null for none.</param>
    /// <exception cref="UsageException">The file cannot be read, or has a key that is not a setting.</exception>
    public SettingSources(ParseResult flags, IReadOnlyList<ISetting> settings, IDictionary environment, string? path)
    {
        (_flags, _path) = (flags, path);
        _file = path is null ? Values(settings, _ => null) : Load(path);
        _environment = Values(settings, setting => environment[setting.EnvironmentVariable] is string { Length: > 0 } value ? value : null);
        _commandLine = Values(settings, FlagOf);
        CheckKeys(settings);
    }

    /// <summary>The value in effect and what to call its origin in a message; null if no source sets it.</summary>
    public (string Value, string Origin)? Find(ISetting setting) =>
        ValueIn(_commandLine, setting) is { } flag ? (flag, setting.Option.Name)
        : ValueIn(_environment, setting) is { } variable ? (variable, setting.EnvironmentVariable)
        : ValueIn(_file, setting) is { } member ? (member, $"'{setting.Key}' in {_path}")
        : null;

    /// <summary>The value of an argument of the command line.</summary>
    public T Get<T>(Argument<T> argument) => _flags.GetRequiredValue(argument);

    private string? FlagOf(ISetting setting) => _flags.GetResult(setting.Option) is { Implicit: false } flag
        ? flag.Tokens.Count == 0 ? bool.TrueString : string.Join(',', flag.Tokens)
        : null;

    private void CheckKeys(IReadOnlyList<ISetting> settings)
    {
        HashSet<string> known = [.. settings.Select(setting => setting.Key)];
        if (_file.GetChildKeys([], parentPath: null).FirstOrDefault(key => !known.Contains(key)) is { } unknown)
            throw new UsageException($"'{unknown}' in {_path} is not a setting; allowed: {string.Join(", ", known.Order(StringComparer.Ordinal))}");
    }

    private static MemoryConfigurationProvider Values(IReadOnlyList<ISetting> settings, Func<ISetting, string?> valueOf) => new(new MemoryConfigurationSource
    {
        InitialData = [.. from setting in settings let value = valueOf(setting) where value is not null select KeyValuePair.Create(setting.Key, value)],
    });

    private static JsonStreamConfigurationProvider Load(string path)
    {
        try
        {
            using var stream = File.OpenRead(path);
            var file = new JsonStreamConfigurationProvider(new JsonStreamConfigurationSource { Stream = stream });
            file.Load();
            return file;
        }
        catch (JsonException error)
        {
            throw new UsageException($"--config {path} is not JSON: {error.Message}");
        }
        catch (FormatException error)
        {
            throw new UsageException($"--config {path} is not a JSON object with distinct keys: {error.Message}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new UsageException($"--config {path} cannot be read: {error.Message}");
        }
    }

    /// <summary>A value as flags write it. An array is a section with numbered keys; its items are joined by commas.</summary>
    private static string? ValueIn(IConfigurationProvider provider, ISetting setting)
    {
        if (provider.TryGet(setting.Key, out var value))
            return value;
        string[] keys = [.. provider.GetChildKeys([], setting.Key).Distinct(StringComparer.Ordinal)];
        if (keys.Length == 0)
            return null;
        // No setting is an object: the text makes its reader refuse it.
        return keys.All(key => int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out _))
            ? string.Join(',', keys.Select(key => provider.TryGet($"{setting.Key}:{key}", out var item) ? item : "{}"))
            : "{}";
    }
}
