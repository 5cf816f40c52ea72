using System.Collections.Concurrent;

namespace Skein.Cli.Members;

/// <summary>Files with secrets.</summary>
internal static class PrivateFile
{
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

    /// <summary>Replaces the file atomically; only its owner can read it.</summary>
    /// <exception cref="CommandFailedException">It cannot be written.</exception>
    public static void Write(string path, IEnumerable<string> lines)
    {
        var temporary = path + ".new";
        try
        {
            var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
            if (!OperatingSystem.IsWindows())
                options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            using (var writer = new StreamWriter(temporary, options))
            {
                foreach (var line in lines)
                    writer.WriteLine(line);
            }
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException($"{path} cannot be written: {error.Message}", error);
        }
    }
}
