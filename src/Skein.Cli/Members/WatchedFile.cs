namespace Skein.Cli.Members;

/// <summary>Files that members read again when they change.</summary>
internal static class WatchedFile
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    /// <summary>When the content was written: of a link, that of the file at its end, because Kubernetes mounts files as links that never change.</summary>
    /// <returns>The default value if there is no such file.</returns>
    public static DateTime WrittenAt(string path) =>
        !File.Exists(path) ? default
        : File.ResolveLinkTarget(path, returnFinalTarget: true) is { } target ? File.GetLastWriteTimeUtc(target.FullName)
        : File.GetLastWriteTimeUtc(path);

    /// <summary>Asks every second whether files have changed. A change that is refused is reported; what was in use stays.</summary>
    /// <param name="content">What they hold, in the plural.</param>
    /// <param name="takeChange">Uses a change; false: there is none. Once it has thrown for a change, it says that there is none until the next one.</param>
    public static IDisposable Follow(string content, TimeProvider time, FileReports reports, Func<bool> takeChange) => time.CreateTimer(
        _ =>
        {
            try
            {
                if (takeChange())
                    reports.Applied(content);
            }
            catch (Exception error) when (error is UsageException or ArgumentException or IOException or UnauthorizedAccessException)
            {
                reports.Refused(content, error.Message);
            }
        },
        null,
        Period,
        Period);
}
