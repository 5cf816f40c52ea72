namespace Skein.Cli.Members;

/// <summary>Files that members read again when they change.</summary>
internal static class WatchedFile
{
    /// <summary>When the content was written: of a link, that of the file at its end, because Kubernetes mounts files as links that never change.</summary>
    /// <returns>The default value if there is no such file.</returns>
    public static DateTime WrittenAt(string path) =>
        !File.Exists(path) ? default
        : File.ResolveLinkTarget(path, returnFinalTarget: true) is { } target ? File.GetLastWriteTimeUtc(target.FullName)
        : File.GetLastWriteTimeUtc(path);
}
