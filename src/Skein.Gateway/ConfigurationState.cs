using System.Collections.Concurrent;

namespace Skein.Gateway;

/// <summary>What became of the configuration that was read last. Thread-safe.</summary>
public sealed class ConfigurationState
{
    private long _applied;
    private long _refused;
    private readonly ConcurrentDictionary<string, string> _files = new(StringComparer.Ordinal);
    private volatile string? _problem;

    /// <summary>Why the newest configuration, or the newest version of a file that it names, is not in use; null: all are.</summary>
    public string? Problem => _problem ?? _files.OrderBy(file => file.Key, StringComparer.Ordinal).Select(file => file.Value).FirstOrDefault();

    /// <summary>Changes that were applied since the start.</summary>
    internal long AppliedCount => Interlocked.Read(ref _applied);

    /// <summary>Changes that were refused since the start.</summary>
    internal long RefusedCount => Interlocked.Read(ref _refused);

    /// <summary>The newest configuration is in use.</summary>
    public void Applied()
    {
        Interlocked.Increment(ref _applied);
        _problem = null;
    }

    /// <summary>The newest configuration is refused as a whole; the one before it stays in use.</summary>
    public void Refused(string problem)
    {
        Interlocked.Increment(ref _refused);
        _problem = problem;
    }

    /// <summary>The newest version of a file that the configuration names, such as one of keys, is in use.</summary>
    /// <param name="file">What it holds; one of a few.</param>
    public void FileApplied(string file)
    {
        Interlocked.Increment(ref _applied);
        _files.TryRemove(file, out _);
    }

    /// <summary>The newest version of a file that the configuration names is refused; the one before it stays in use.</summary>
    /// <param name="file">What it holds; one of a few.</param>
    public void FileRefused(string file, string problem)
    {
        Interlocked.Increment(ref _refused);
        _files[file] = problem;
    }
}
