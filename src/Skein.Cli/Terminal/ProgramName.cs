namespace Skein.Cli.Terminal;

/// <summary>How the user calls this program, for commands that are shown to be copied.</summary>
internal static class ProgramName
{
    private const string Name = "skein";

    /// <summary>Its name if it is on the path, else its path.</summary>
    public static string Shown { get; } = Of(
        Environment.GetEnvironmentVariable("PATH"), Path.Combine(AppContext.BaseDirectory, Name + (OperatingSystem.IsWindows() ? ".exe" : "")),
        Environment.CurrentDirectory);

    /// <param name="path">Folders in which a shell looks for programs.</param>
    /// <param name="program">Where the program is; it may not be there, under another host.</param>
    /// <param name="folder">Where the user is.</param>
    internal static string Of(string? path, string program, string folder)
    {
        var isOnPath = (path ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Any(each => File.Exists(Path.Combine(each, Path.GetFileName(program))));
        if (isOnPath || !File.Exists(program))
            return Name;
        var relative = Path.GetRelativePath(folder, program);
        return relative.StartsWith("..", StringComparison.Ordinal) ? program : Path.Combine(".", relative);
    }
}
