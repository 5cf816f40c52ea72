using System.Collections;
using Microsoft.Extensions.Configuration.Json;

namespace Skein.Cli.Settings;

/// <summary>
/// The values of a verb's settings and their origins. Flags override the environment, which overrides the configuration file. A merged
/// <c>IConfiguration</c> does not tell the origin of a value, which error messages name.
/// </summary>
/// <exception cref="UsageException">The file cannot be read, or has a key that is not a setting.</exception>
internal sealed class SettingSources(ParseResult flags, IReadOnlyList<ISetting> settings, IDictionary environment, string? path)
{
    public const string VariablePrefix = "SKEIN_";

    /// <summary>Names the schema of the file, for editors. It is no setting.</summary>
    public const string SchemaKey = "$schema";

    private readonly FileContent? _file = path is null ? null : Load(path, settings);

    /// <summary>The configuration file; null: there is none.</summary>
    public string? Path => path;

    /// <summary>What the file contained when it was read.</summary>
    public byte[] FileBytes => _file?.Bytes ?? [];

    /// <summary>The settings that the verb has.</summary>
    public IReadOnlyList<ISetting> Settings => settings;

    /// <summary>The same flags and variables with what the file contains now.</summary>
    /// <exception cref="UsageException">The file cannot be read, or has a key that is not a setting.</exception>
    public SettingSources Reopen() => new(flags, settings, environment, path);

    /// <summary>The same flags and variables with another file.</summary>
    /// <exception cref="UsageException">The file cannot be read, or has a key that is not a setting.</exception>
    public SettingSources WithFile(string file) => new(flags, settings, environment, file);

    /// <summary>The value in effect and what to call its origin in a message; null if no source sets it.</summary>
    public (string Value, string Origin)? Find(ISetting setting) =>
        !settings.Contains(setting) ? null
        : FlagOf(setting) is { } flag ? (flag, setting.Option.Name)
        : environment[setting.EnvironmentVariable] is string { Length: > 0 } variable ? (variable, setting.EnvironmentVariable)
        : _file is not null && ValueIn(_file.Values, setting) is { } member ? (member, $"'{setting.Key}' in {path}")
        : setting.Former is { } former ? Find(former)
        : null;

    /// <summary>One of <see cref="SecretVariables"/>; null: it is not set.</summary>
    public string? Secret(string variable) => environment[variable] is string { Length: > 0 } value ? value : null;

    /// <summary>A list of objects in the file, as <see cref="ISetting.ListKey"/> allows it; null if the file has none.</summary>
    /// <exception cref="UsageException">It is not a list.</exception>
    public (JsonElement List, string Path)? FindList(string key)
    {
        if (path is null || _file is null || !_file.Root.TryGetProperty(key, out var list))
            return null;
        return list.ValueKind == JsonValueKind.Array
            ? (list, path)
            : throw new UsageException($"'{key}' in {path} is not a list; allowed: a list of objects");
    }

    public T Get<T>(Argument<T> argument) => flags.GetRequiredValue(argument);

    /// <summary>The value of an argument that may be left out.</summary>
    public T? Find<T>(Argument<T?> argument) => flags.GetValue(argument);

    private string? FlagOf(ISetting setting) => flags.GetResult(setting.Option) is { Implicit: false } flag
        ? flag.Tokens.Count == 0 ? bool.TrueString : string.Join(',', flag.Tokens)
        : null;

    private static FileContent Load(string path, IReadOnlyList<ISetting> settings)
    {
        try
        {
            // Read once, so that all values are of one version of the file.
            var bytes = File.ReadAllBytes(path);
            var file = new JsonStreamConfigurationProvider(new JsonStreamConfigurationSource { Stream = new MemoryStream(bytes) });
            file.Load();
            using var document = JsonDocument.Parse(bytes, new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
            HashSet<string> lists = [.. settings.Select(setting => setting.ListKey).OfType<string>()];
            HashSet<string> known = [.. settings.Select(setting => setting.Key), .. lists, SchemaKey];
            if (file.GetChildKeys([], parentPath: null).FirstOrDefault(key => !known.Contains(key)) is not { } unknown)
                return new FileContent(bytes, file, document.RootElement.Clone());
            List<string> shown =
                [.. settings.Where(setting => !setting.Option.Hidden).Select(setting => setting.Key).Concat(lists).Order(StringComparer.Ordinal)];
            var advice = Spelling.Closest(unknown, shown) is { } meant ? $"did you mean '{meant}'?" : $"allowed: {string.Join(", ", shown)}";
            throw new UsageException($"'{unknown}' in {path} is not a setting; {advice}");
        }
        catch (Exception error) when (error is JsonException or FormatException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            var problem = error switch { JsonException => "is not JSON", FormatException => "is not a JSON object with distinct keys", _ => "cannot be read" };
            throw new UsageException($"--config {path} {problem}: {error.Message}");
        }
    }

    private sealed record FileContent(byte[] Bytes, JsonStreamConfigurationProvider Values, JsonElement Root);

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
