using Skein.Cli.Settings;
using Skein.Serving.Security;

namespace Skein.Cli.Members;

/// <summary>
/// The keys that gateways and replicas of one group share, from a file that is read again when it changes, or from the environment. Thread-safe.
/// </summary>
internal sealed class LinkKeyFile
{
    private const string Content = "link keys";

    private static readonly Setting<string?> KeyPath = Setting.Text(
        "link-key-file", "file",
        "Keys that gateways show to replicas and to each other, one per line, the sent one first; reloaded when it changes; "
        + $"{SecretVariables.LinkKey} holds one key itself").Live();

    private readonly Lock _gate = new();
    private string? _path;

    /// <summary>Write time of the last version that was read. It is taken before reading, so that no later change is missed.</summary>
    private DateTime _writtenAt;
    private volatile LinkKeys _current;

    private LinkKeyFile(string? path, string? key)
    {
        _path = path;
        _current = path is null ? Parse(key!, SecretVariables.LinkKey) : Read(path);
    }

    public static IReadOnlyList<ISetting> All { get; } = [KeyPath];

    /// <summary>Whether members that this process starts have keys that the environment holds or names.</summary>
    public static bool IsInherited => new[] { KeyPath.EnvironmentVariable, SecretVariables.LinkKey }
        .Any(variable => Environment.GetEnvironmentVariable(variable) is { Length: > 0 });

    public LinkKeys Current => _current;

    /// <returns>Null if there are none.</returns>
    /// <exception cref="UsageException">The file cannot be read, or a key is not allowed.</exception>
    public static LinkKeyFile? Open(SettingSources sources)
    {
        if (KeyPath.Read(sources) is { } path)
        {
            PrivateFile.WarnIfOpen(path, KeyPath.Option.Name);
            return new LinkKeyFile(path, null);
        }
        return Environment.GetEnvironmentVariable(SecretVariables.LinkKey) is { Length: > 0 } key ? new LinkKeyFile(null, key) : null;
    }

    /// <summary>Uses the file of another instance from now on.</summary>
    public void Use(LinkKeyFile next)
    {
        lock (_gate)
        {
            (_path, _writtenAt) = (next._path, next._writtenAt);
            _current = next.Current;
        }
    }

    /// <summary>Checks the file every second. An invalid file is reported once; the old keys stay in use.</summary>
    public IDisposable Follow(TimeProvider time, FileReports reports) => WatchedFile.Follow(
        Content, time, reports, () =>
        {
            lock (_gate)
            {
                if (_path is null || WatchedFile.WrittenAt(_path) == _writtenAt)
                    return false;
                _current = Read(_path);
                return true;
            }
        });

    private static LinkKeys Parse(string text, string origin)
    {
        try
        {
            return LinkKeys.Parse(text);
        }
        catch (ArgumentException error)
        {
            throw new UsageException($"{origin}: {error.Message}");
        }
    }

    private LinkKeys Read(string path)
    {
        try
        {
            _writtenAt = WatchedFile.WrittenAt(path);
            return Parse(File.ReadAllText(path), $"--link-key-file {path}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"--link-key-file {path} cannot be read: {error.Message}");
        }
    }
}
