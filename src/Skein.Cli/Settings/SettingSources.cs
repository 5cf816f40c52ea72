using System.Collections;
using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Skein.Cli.Settings;

/// <summary>Where settings come from, strongest first: flags, the environment (<c>SKEIN_…</c>), the configuration file.</summary>
internal sealed class SettingSources
{
    private static readonly JsonDocumentOptions Lenient = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    private readonly ParseResult _flags;
    private readonly IDictionary _environment;
    private readonly JsonObject _file;
    private readonly string? _path;

    /// <param name="flags">The command line.</param>
    /// <param name="environment">Environment variables.</param>
    /// <param name="path">The configuration file; null: none.</param>
    /// <exception cref="UsageException">The file cannot be read.</exception>
    public SettingSources(ParseResult flags, IDictionary environment, string? path)
    {
        _flags = flags;
        _environment = environment;
        _path = path;
        _file = path is null ? [] : Load(path);
    }

    /// <summary>The value in use and the words by which the user knows its place; null where nobody set it.</summary>
    public (string Value, string Place)? Find(ISetting setting)
    {
        if (_flags.GetResult(setting.Option) is { Implicit: false } flag)
            return (flag.Tokens.Count == 0 ? bool.TrueString : string.Join(',', flag.Tokens), setting.Option.Name);
        if (_environment[setting.EnvironmentVariable] is string { Length: > 0 } variable)
            return (variable, setting.EnvironmentVariable);
        if (_file[setting.Key] is { } node)
            return (ToText(node), $"'{setting.Key}' in {_path}");
        return null;
    }

    /// <summary>The value of an argument of the command line.</summary>
    public T Get<T>(Argument<T> argument) => _flags.GetRequiredValue(argument);

    /// <summary>Refuses keys of the file that no setting answers to.</summary>
    public void CheckKeys(IEnumerable<ISetting> settings)
    {
        HashSet<string> known = [.. settings.Select(setting => setting.Key)];
        if (_file.Select(member => member.Key).FirstOrDefault(key => !known.Contains(key)) is { } unknown)
            throw new UsageException($"'{unknown}' in {_path} is not a setting; allowed: {string.Join(", ", known.Order(StringComparer.Ordinal))}");
    }

    private static JsonObject Load(string path)
    {
        try
        {
            var file = JsonNode.Parse(File.ReadAllText(path), documentOptions: Lenient) as JsonObject
                ?? throw new UsageException($"--config {path} is not a JSON object");
            // Members are read when they are first asked for: now, so that a key that stands twice is told as such.
            _ = file.Count;
            return file;
        }
        catch (JsonException error)
        {
            throw new UsageException($"--config {path} is not JSON: {error.Message}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new UsageException($"--config {path} cannot be read: {error.Message}");
        }
    }

    private static string ToText(JsonNode node) => node is JsonArray list ? string.Join(',', list.Select(item => item?.ToString())) : node.ToString();
}
