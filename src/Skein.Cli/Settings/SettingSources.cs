using System.Collections;
using System.Text.Json;
using Microsoft.Extensions.Configuration.Json;

namespace Skein.Cli.Settings;

/// <summary>The values of a verb's settings and their origins. Flags override the environment, which overrides the configuration file.</summary>
internal sealed class SettingSources
{
    public const string VariablePrefix = "SKEIN_";

    private readonly ParseResult _flags;
    private readonly IReadOnlyList<ISetting> _settings;
    private readonly IDictionary _environment;
    private readonly string? _path;
    private readonly JsonStreamConfigurationProvider? _file;

    /// <exception cref="UsageException">The file cannot be read, or has a key that is not a setting.</exception>
    public SettingSources(ParseResult flags, IReadOnlyList<ISetting> settings, IDictionary environment, string? path)
    {
        (_flags, _settings, _environment, _path) = (flags, settings, environment, path);
        if (path is not null)
            CheckKeys(_file = Load(path));
    }

    /// <summary>The value in effect and what to call its origin in a message; null if no source sets it.</summary>
    public (string Value, string Origin)? Find(ISetting setting) =>
        !_settings.Contains(setting) ? null
        : FlagOf(setting) is { } flag ? (flag, setting.Option.Name)
        : _environment[setting.EnvironmentVariable] is string { Length: > 0 } variable ? (variable, setting.EnvironmentVariable)
        : _file is not null && ValueIn(_file, setting) is { } member ? (member, $"'{setting.Key}' in {_path}")
        : null;

    /// <summary>A list of objects in the file, as <see cref="ISetting.ListKey"/> allows it; null if the file has none.</summary>
    /// <exception cref="UsageException">It is not a list.</exception>
    public (JsonElement List, string Path)? FindList(string key)
    {
        if (_path is null || _file is null || !_file.GetChildKeys([], parentPath: null).Contains(key, StringComparer.Ordinal))
            return null;
        using var stream = File.OpenRead(_path);
        using var document = JsonDocument.Parse(stream, new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
        return document.RootElement.TryGetProperty(key, out var list) && list.ValueKind == JsonValueKind.Array
            ? (list.Clone(), _path)
            : throw new UsageException($"'{key}' in {_path} is not a list; allowed: a list of objects");
    }

    public T Get<T>(Argument<T> argument) => _flags.GetRequiredValue(argument);

    private string? FlagOf(ISetting setting) => _flags.GetResult(setting.Option) is { Implicit: false } flag
        ? flag.Tokens.Count == 0 ? bool.TrueString : string.Join(',', flag.Tokens)
        : null;

    private void CheckKeys(JsonStreamConfigurationProvider file)
    {
        HashSet<string> known = [.. _settings.Select(setting => setting.Key), .. _settings.Select(setting => setting.ListKey).OfType<string>()];
        if (file.GetChildKeys([], parentPath: null).FirstOrDefault(key => !known.Contains(key)) is { } unknown)
            throw new UsageException($"'{unknown}' in {_path} is not a setting; allowed: {string.Join(", ", known.Order(StringComparer.Ordinal))}");
    }

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
    private static string? ValueIn(JsonStreamConfigurationProvider provider, ISetting setting)
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
