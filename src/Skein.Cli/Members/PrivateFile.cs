using System.Collections.Concurrent;

namespace Skein.Cli.Members;

/// <summary>Files with secrets.</summary>
internal static class PrivateFile
{
    private static readonly TimeSpan LongestLock = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan LockPause = TimeSpan.FromMilliseconds(20);

    /// <summary>Files that were warned of, by flag: a configuration that is refused is read again and again.</summary>
    private static readonly ConcurrentDictionary<string, string> Warned = new(StringComparer.Ordinal);

    /// <summary>Warns on standard error, once, if other users of this machine can read the file. Links, as Kubernetes mounts secrets, are left alone.</summary>
    /// <param name="flag">The flag that named the file.</param>
    public static void WarnIfOpen(string path, string flag)
    {
        if (OperatingSystem.IsWindows() || !File.Exists(path) || File.ResolveLinkTarget(path, returnFinalTarget: false) is not null)
            return;
        var mode = File.GetUnixFileMode(path);
        if (!mode.HasFlag(UnixFileMode.OtherRead) || (Warned.TryGetValue(flag, out var warned) && warned == path))
            return;
        Warned[flag] = path;
        Console.Error.WriteLine($"skein: {flag} {path} can be read by every user of this machine; close it: chmod 600 {path}");
    }

    /// <summary>
    /// Replaces the file atomically. A new one can be read by its owner only; one that exists keeps its owner, group and mode, and a link its target: the
    /// member that reads the file runs as another user than the one who changes it.
    /// </summary>
    /// <exception cref="CommandFailedException">It cannot be written.</exception>
    public static void Write(string path, IEnumerable<string> lines)
    {
        string? temporary = null;
        try
        {
            var target = File.Exists(path) ? File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path : path;
            temporary = $"{target}.{Guid.NewGuid():N}.new";
            var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
            if (!OperatingSystem.IsWindows())
                options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            using (var writer = new StreamWriter(temporary, options))
            {
                foreach (var line in lines)
                    writer.WriteLine(line);
            }
            if (File.Exists(target) && !OperatingSystem.IsWindows())
            {
                FileOwner.Of(target)?.Give(temporary);
                File.SetUnixFileMode(temporary, File.GetUnixFileMode(target));
            }
            File.Move(temporary, target, overwrite: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            if (File.Exists(temporary))
                File.Delete(temporary);
            throw new CommandFailedException($"{path} cannot be written: {error.Message}", error);
        }
    }

    /// <summary>
    /// Keeps other commands from changing the file until it is disposed: between reading and writing, a change of theirs would be lost. The lock is a file
    /// beside it, which stays.
    /// </summary>
    /// <param name="mayBeNew">Whether the command makes the file if it does not exist.</param>
    /// <exception cref="UsageException">The file does not exist.</exception>
    /// <exception cref="CommandFailedException">Another command holds the lock for 10 s, or it cannot be made.</exception>
    public static async Task<IDisposable> LockAsync(string path, bool mayBeNew = false)
    {
        if (!mayBeNew && !File.Exists(path))
            throw new UsageException($"{path} does not exist; allowed: a file of keys");
        var begun = TimeProvider.System.GetTimestamp();
        while (true)
        {
            try
            {
                var options = new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.None };
                if (!OperatingSystem.IsWindows())
                    options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
                var locked = new FileStream(path + ".lock", options);
                // Root must not lock the owner out for ever.
                if (Environment.IsPrivilegedProcess)
                    FileOwner.Of(path)?.Give(path + ".lock");
                return locked;
            }
            catch (IOException) when (File.Exists(path + ".lock") && TimeProvider.System.GetElapsedTime(begun) < LongestLock)
            {
                await Task.Delay(LockPause, TimeProvider.System);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new CommandFailedException($"{path} cannot be locked: {error.Message}", error);
            }
        }
    }
}
