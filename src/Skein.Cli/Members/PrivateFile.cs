namespace Skein.Cli.Members;

/// <summary>Files with secrets.</summary>
internal static class PrivateFile
{
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
